"""Running generated code, and judging it, away from this process."""

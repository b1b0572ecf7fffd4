"""From samples to a score."""

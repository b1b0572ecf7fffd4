"""Looks at a machine before a job does, and says what to fix."""

"""Bringing tasks, models, execution and files together: samples, scores, run folders."""

"""Weights on disk: formats, conversion, atomic training checkpoints."""

"""Llama and Code Llama as a single-device program."""

"""Prefill and decode with a key/value cache, sampling, stopping."""

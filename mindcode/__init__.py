"""mindcode takes Code Llama from raw data to a score one can trust, on MindSpore."""

__version__ = "0.1.0"

"""Numbers on the command line."""

import argparse


def whole_number(text: str) -> int:
    """Return a number from 1 up; argparse says what was expected for anything else."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1 up")
    return int(text)

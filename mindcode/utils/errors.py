"""The one exception that a person is meant to read.

`UserError` carries a single line that names the file, line or key, the value, what was expected and what to do.
The command line prints it and ends with exit code 2; everything else that escapes is a bug of ours.
"""


class UserError(Exception):
    """Something outside the program is wrong: an input, a flag, a file, the machine."""

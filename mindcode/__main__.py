"""`python -m mindcode` is the same as the `mindcode` command."""

import sys

from mindcode.cli.main import main

sys.exit(main())

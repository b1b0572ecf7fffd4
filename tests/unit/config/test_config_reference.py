"""docs/config.md is what the dataclasses say."""

import subprocess
import sys
from pathlib import Path

from mindcode.config.reference import page
from mindcode.config.schema import RunConfig
from mindcode.config.typed import field_types, sections

ROOT = Path(__file__).resolve().parents[3]


def test_docs_are_up_to_date() -> None:
    assert (ROOT / "docs" / "config.md").read_text(encoding="utf-8") == page(), "run `make docs`"


def test_every_key_is_explained() -> None:
    """A field without a string under it would already fail in page(); here: every one has a row."""
    text = page()
    for _, section in sections(RunConfig):
        for name, kind in field_types(section).items():
            assert f"| `{name}` |" in text or hasattr(kind, "__dataclass_fields__"), name


def test_the_command_of_the_makefile() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mindcode.config.reference"], capture_output=True, text=True, check=True
    )
    assert run.stdout == page()


def test_the_room_needs_no_mindspore() -> None:
    code = "import sys, mindcode.config.loader, mindcode.cli.flags, mindcode.cli.run; print('mindspore' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"

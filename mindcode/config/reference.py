"""docs/config.md, made from the dataclasses and their documentation strings.

python -m mindcode.config.reference > docs/config.md
"""

import ast
import dataclasses
import inspect
import sys
from typing import Any

from mindcode.config import model_schema, schema
from mindcode.config.limits import CHOICES, RANGES
from mindcode.config.mindformers import IGNORED, MOVED, OFF
from mindcode.config.typed import alternatives, field_types, sections

INTRODUCTION = """\
# Configuration

*Made by `make docs` from `mindcode/config`; change the text there.*

A YAML file describes a run. Its keys are those of MindFormers; [configs/README.md](../configs/README.md) says which
file is for what. A run may differ from its file without a change of the file:

    python run_mindcode.py --config configs/codellama/pretrain_codellama_tiny_cpu.yaml \\
        --train_dataset_dir dataset/wiki128.mindrecord --optimizer.learning_rate 2e-5

- `--section.key VALUE` sets one key. The text is read by the type of the key: `2e-5` is a number where a number is
  expected. `[8, 4]` and `8,4` are lists. `null` stands for no value.
- `base_config: other.yaml`, or a list of files, takes everything from there; the file itself wins, key by key. Paths
  are relative to the file.
- A key without a value (`key:`) takes its default.
- Anchors (`&name`), aliases (`*name`) and merge keys (`<<: *name`) work. A key given twice is an error.
- An unknown key is an error that names the file, the line and the nearest known key.
- What must fit together (heads and tensor split, layers and stages, ...) is checked before anything starts.
"""


def main() -> int:
    """Write the page to standard output."""
    sys.stdout.write(page())
    return 0


def page() -> str:
    """Return the whole page in Markdown."""
    parts = [INTRODUCTION, _section("The top level", "", schema.RunConfig)]
    parts += [_section(f"`{key}`", f"{key}.", section) for key, section in sections(schema.RunConfig)]
    parts += [_moved(), _ignored(), _off()]
    return "\n".join(parts)


def _section(title: str, prefix: str, section: type) -> str:
    docs = _field_docs(section)
    types = field_types(section)
    rows = ["| Key | Value | Default | Meaning |", "|---|---|---|---|"]
    for field in dataclasses.fields(section):
        default = _default(field)
        if default is not None:
            values = _values(prefix + field.name, types[field.name])
            rows.append(f"| `{field.name}` | {values} | {default} | {docs[field.name]} |")
    about = (inspect.getdoc(section) or "").partition(": ")[2] or inspect.getdoc(section) or ""
    table = [*rows, ""] if len(rows) > 2 else []
    return "\n".join([f"## {title}", "", about[0].upper() + about[1:], "", *table])


def _field_docs(section: type) -> dict[str, str]:
    """Map each field to the string under it, which Python itself throws away."""
    body = ast.parse(inspect.getsource(section)).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            docs[field.target.id] = str(ast.literal_eval(text.value)).replace("|", "\\|")
    return docs


def _default(field: dataclasses.Field[Any]) -> str | None:
    """Return the default as it would be written in YAML; None for a section, which has a table of its own."""
    if field.default is dataclasses.MISSING:
        return None
    value = field.default
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return "`null`" if value is None else f"`{value!r}`" if isinstance(value, str) else f"`{value}`"


def _values(key: str, kind: Any) -> str:
    if key in CHOICES:
        return ", ".join("`null`" if value is None else f"`{value}`" for value in CHOICES[key])
    words = " or ".join(_type_name(member) for member in alternatives(kind))
    return f"{words}, {RANGES[key].describe()}" if key in RANGES else words


def _type_name(kind: Any) -> str:
    names = {bool: "bool", int: "int", float: "float", str: "text", type(None): "`null`"}
    if kind in names:
        return names[kind]
    return "mapping" if kind is model_schema.RopeScaling else "list"


def _moved() -> str:
    rows = [f"| `{source}` | `{target}` |" for source, target in MOVED.items()]
    return "\n".join(
        ["## MindFormers' places", "", "Read from there as well:", "", "| There | Here |", "|---|---|", *rows, ""]
    )


def _ignored() -> str:
    rows = [f"| {why} | {', '.join(f'`{name}`' for name in names)} |" for why, names in IGNORED.items()]
    return "\n".join(
        [
            "## MindFormers' keys without a meaning here",
            "",
            "Accepted, and named in one warning, so that an original file loads unchanged.",
            "",
            "| Why | Keys |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _off() -> str:
    rows = [f"| `{key}` | `{value}` |" for key, value in OFF.items()]
    return "\n".join(
        [
            "## MindFormers' keys that must stay off",
            "",
            "They would change the result; any other value is an error.",
            "",
            "| Key | Only value |",
            "|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

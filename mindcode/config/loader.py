"""A YAML file, the files it builds on and the command line's overrides become one checked RunConfig.

    config = load_config(Path("configs/smollm2/finetune_smollm2_135m.yaml"), [("runner_config.max_steps", "8")])

A run is described by layers, the last one winning: the files named by `base_config`, the file itself, each override.
Every layer is a tree that knows its lines (document.py), is put in this project's terms (mindformers.py), and the sum
is typed (typed.py) and checked (validate.py).
"""

import dataclasses
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mindcode.config.document import Entry, find, overlay, read_flag, read_yaml, walk, without
from mindcode.config.mindformers import adapt, drop_meaningless
from mindcode.config.schema import RunConfig
from mindcode.config.typed import build, field_types, sections
from mindcode.config.validate import problems
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger
from mindcode.utils.lookup import nearest

BASE = "base_config"


def load_config(path: Path, overrides: Sequence[tuple[str, str]] = ()) -> RunConfig:
    """Read `path`, apply `overrides` (dotted key, text) in order, and check the result.

    Raises UserError in one line that begins with `file:line` or the flag. Keys that MindFormers has and that mean
    nothing here are named in one warning.
    """
    tree, ignored = drop_meaningless(read_tree(path, overrides))
    _refuse_unknown(tree)
    config = build(RunConfig, tree)
    if ignored and config.engine == RunConfig.engine:
        get_logger().warning("%s: keys without a meaning here are ignored: %s", path, ", ".join(ignored))
    for problem in problems(config):
        entry = find(tree, problem.key)
        raise UserError(f"{entry.place(problem.key) if entry else f'{path}: {problem.key}'}: {problem.message}")
    return config


def read_tree(path: Path, overrides: Sequence[tuple[str, str]] = ()) -> Entry:
    """Return all layers in this project's places and names, unchecked, with the keys that mean nothing here."""
    flags = [adapt(read_flag(key, text)) for key, text in overrides]
    return functools.reduce(overlay, flags, _read_layers(Path(path)))


def read_run_mode(path: Path) -> str:
    """Return only the `run_mode` of a file, without a warning or a check of the rest."""
    entry = find(_read_layers(Path(path)), "run_mode")
    return entry.value if entry is not None and isinstance(entry.value, str) else RunConfig.run_mode


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Return plain mappings, lists and scalars, for a manifest in JSON or YAML."""
    plain: dict[str, Any] = _plain(dataclasses.asdict(config))
    return plain


def _read_layers(path: Path, above: tuple[Path, ...] = ()) -> Entry:
    """Read a file on top of its `base_config` files; their paths are relative to the file that names them."""
    if path.resolve() in above:
        raise UserError(f"{above[-1]}: {BASE}: {path} builds on itself")
    layer = read_yaml(path)
    bases = find(layer, BASE)
    layer = adapt(without(layer, BASE))
    if bases is None or bases.value is None:
        return layer
    names = [item.value for item in bases.value] if isinstance(bases.value, list) else [bases.value]
    layers = []
    for name in names:
        if not isinstance(name, str) or not (path.parent / name).is_file():
            raise UserError(f"{bases.where}: {BASE}: {name!r}, expected a YAML file beside {path.name}")
        layers.append(_read_layers(path.parent / name, (*above, path.resolve())))
    return functools.reduce(overlay, [*layers, layer])


def _refuse_unknown(tree: Entry) -> None:
    known = {"": RunConfig, **dict(sections(RunConfig))}
    for key, entry in walk(tree):
        section, _, name = re.sub(r"\[\d+\]", "[]", key).rpartition(".")
        if section in known and name not in field_types(known[section]):
            raise UserError(f"{entry.place(key)}: unknown key{_suggestion(name, known[section], known)}")


def _suggestion(name: str, section: type, known: dict[str, type]) -> str:
    elsewhere = [f"{key}.{name}".lstrip(".") for key, kind in known.items() if name in field_types(kind)]
    return f"; did you mean {elsewhere[0]}?" if elsewhere else nearest(name, list(field_types(section)))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value

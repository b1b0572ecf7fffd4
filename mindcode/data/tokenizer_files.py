"""What lies beside a tokenizer: which file holds it, its begin, end and padding pieces, its chat template."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindcode.utils.errors import UserError, not_utf8
from mindcode.utils.json_file import read_json

MODEL_NAME, JSON_NAME = "tokenizer.model", "tokenizer.json"
CONFIG_NAME, OLD_CONFIG_NAME, TEMPLATE_NAME = "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"


@dataclass(frozen=True)
class TokenizerFiles:
    """A tokenizer's file and what its neighbours say; a piece that nobody names is None."""

    path: Path
    is_json: bool
    bos_piece: str | None
    eos_piece: str | None
    pad_piece: str | None
    unk_piece: str | None
    add_bos: bool | None
    chat_template: str | None


def find_tokenizer(path: Path) -> TokenizerFiles:
    """Look at a file, or at the tokenizer.model or tokenizer.json in a folder, and at the files beside it.

    Raises UserError when there is none, or when a neighbour cannot be read.
    """
    file = _tokenizer_file(Path(path))
    config = _settings(file.parent / OLD_CONFIG_NAME) | _settings(file.parent / CONFIG_NAME)
    add_bos = config.get("add_bos_token")
    return TokenizerFiles(
        path=file,
        is_json=file.suffix == ".json",
        bos_piece=_piece(config, "bos_token"),
        eos_piece=_piece(config, "eos_token"),
        pad_piece=_piece(config, "pad_token"),
        unk_piece=_piece(config, "unk_token"),
        add_bos=add_bos if isinstance(add_bos, bool) else None,
        chat_template=_chat_template(config, file.parent / TEMPLATE_NAME),
    )


def _tokenizer_file(path: Path) -> Path:
    if path.is_dir():
        for name in (MODEL_NAME, JSON_NAME):
            if (path / name).is_file():
                return path / name
        raise UserError(f"{path}: neither {MODEL_NAME} nor {JSON_NAME} in this folder")
    if not path.is_file():
        raise UserError(
            f"{path}: no such tokenizer file; expected a {MODEL_NAME}, a {JSON_NAME} or the folder of either"
        )
    return path


def _settings(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _piece(config: dict[str, Any], key: str) -> str | None:
    value = config.get(key)
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _chat_template(config: dict[str, Any], beside: Path) -> str | None:
    """The template as a string, the one called "default" in a list of named ones, or the file beside."""
    if beside.is_file():
        try:
            return beside.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(beside, error) from error
    value = config.get("chat_template")
    if isinstance(value, list):
        named = {entry.get("name"): entry.get("template") for entry in value if isinstance(entry, dict)}
        value = named.get("default")
    return value if isinstance(value, str) else None

"""Trees from YAML: places, anchors, merge keys, and what is refused."""

from pathlib import Path

import pytest

from mindcode.config.document import Entry, find, move, overlay, read_flag, read_yaml, walk, without
from mindcode.utils.errors import UserError


def tree(folder: Path, text: str) -> Entry:
    path = folder / "a.yaml"
    path.write_text(text)
    return read_yaml(path)


def plain(entry: Entry | None) -> object:
    """Strip the places."""
    assert entry is not None
    if isinstance(entry.value, dict):
        return {key: plain(item) for key, item in entry.value.items()}
    return [plain(item) for item in entry.value] if isinstance(entry.value, list) else entry.value


def test_scalars_stay_text_and_know_their_line(tmp_path: Path) -> None:
    root = tree(tmp_path, "a:\n  b: 1e-5\n  c: [True, ~, '']\nd:\n")
    assert plain(root) == {"a": {"b": "1e-5", "c": ["True", None, ""]}, "d": None}
    entry = find(root, "a.b")
    assert entry is not None and entry.where == f"{tmp_path}/a.yaml:2"


def test_aliases_and_merge_keys(tmp_path: Path) -> None:
    root = tree(tmp_path, "x: &x {a: 1, b: 2}\ny: *x\nz:\n  <<: *x\n  b: 3\nw: {<<: [{a: 5}, *x]}\n")
    assert plain(root) == {
        "x": {"a": "1", "b": "2"},
        "y": {"a": "1", "b": "2"},
        "z": {"a": "1", "b": "3"},
        "w": {"a": "5", "b": "2"},
    }


def test_a_tree_of_aliases_is_read_once(tmp_path: Path) -> None:
    """Ten levels of ten aliases are 10^10 values when copied; shared, they cost nothing."""
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 11)]
    assert find(tree(tmp_path, "\n".join(lines)), "a10") is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3: a: given twice, first at"),
        ("a: [1\n", "not valid YAML"),
        ("a: *nowhere\n", "a.yaml:1: not valid YAML: found undefined alias"),
        ("a: &a\n  b: *a\n", "an alias refers to the section it stands in"),
        ("- a\n", "expected `key: value` lines"),
        ("", "expected `key: value` lines"),
        ("? [a, b]\n: c\n", "a.yaml:1: a key must be a name"),
        ("a:\n  <<: text\n", "a.yaml:2: `<<` needs a section"),
    ],
)
def test_bad_files_are_named_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        tree(tmp_path, text)
    assert message in str(raised.value) and "\n" not in str(raised.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(UserError, match="not UTF-8 text"):
        read_yaml(tmp_path / "b.yaml")


def test_flags_are_text_unless_they_look_like_a_list() -> None:
    assert plain(read_flag("a.b", "x: 1 # no comment")) == {"a": {"b": "x: 1 # no comment"}}
    assert plain(read_flag("a", "[1, {b: 2}]")) == {"a": ["1", {"b": "2"}]}
    assert plain(read_flag("a", "null")) == {"a": None}
    assert plain(read_flag("a", "")) == {"a": ""}
    with pytest.raises(UserError, match="--a: not valid YAML"):
        read_flag("a", "[1, 2")


def test_overlay_leaves_both_trees_alone(tmp_path: Path) -> None:
    base = tree(tmp_path, "a: {b: 1, c: [1, 2]}\nd: {e: 1}\n")
    top = tree(tmp_path, "a: {c: [3]}\nd: 4\n")
    assert plain(overlay(base, top)) == {"a": {"b": "1", "c": ["3"]}, "d": "4"}
    assert plain(base) == {"a": {"b": "1", "c": ["1", "2"]}, "d": {"e": "1"}}


def test_without_removes_emptied_sections(tmp_path: Path) -> None:
    root = tree(tmp_path, "a: {b: {c: 1}}\nd: {e: 1, f: 2}\n")
    assert plain(without(without(root, "a.b.c"), "d.e")) == {"d": {"f": "2"}}
    assert plain(without(root, "a.x.y")) == plain(root)


def test_move(tmp_path: Path) -> None:
    root = tree(tmp_path, "a: {b: 1}\nc: {d: 2}\n")
    assert plain(move(root, "a.b", "c.e")) == {"c": {"d": "2", "e": "1"}}
    assert move(root, "x", "y") is root
    with pytest.raises(UserError, match=r"a\.yaml:1: a\.b: also given as c\.d; keep one of them"):
        move(root, "a.b", "c.d")


def test_walk_goes_from_sections_to_keys(tmp_path: Path) -> None:
    assert [key for key, _ in walk(tree(tmp_path, "a: {b: {c: 1}}\nd: 2\n"))] == ["a", "a.b", "a.b.c", "d"]


def test_items_of_a_list_have_keys_too(tmp_path: Path) -> None:
    root = tree(tmp_path, "a:\n  - {b: 1, c: {d: 2}}\n  - {b: 3}\ne: [4, 5]\n")
    assert [key for key, _ in walk(root)] == ["a", "a[0].b", "a[0].c", "a[0].c.d", "a[1].b", "e"]
    assert plain(find(root, "a[0].c.d")) == "2"
    assert plain(find(root, "e[1]")) == "5"
    assert find(root, "a[2].b") is None
    assert plain(without(root, "a[0].c.d")) == {"a": [{"b": "1"}, {"b": "3"}], "e": ["4", "5"]}
    assert plain(without(root, "a[7].b")) == plain(root)

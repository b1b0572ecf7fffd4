"""A fingerprint tells files apart by size, by any of its blocks, and by their order."""

from pathlib import Path

from mindcode.utils.fingerprint import fingerprint


def test_a_change_of_size_or_of_a_sampled_byte_shows(tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    content = bytes(10_000_000)
    file.write_bytes(content)
    other.write_bytes(content)
    before = fingerprint(file)
    assert fingerprint(other) == before
    found = {before}
    for changed in (content + b"\0", b"\1" + content[1:], content[:-1] + b"\1", b"short", b""):
        file.write_bytes(changed)
        found.add(fingerprint(file))
    assert len(found) == 6
    assert fingerprint(file, other) != fingerprint(other, file) != fingerprint(other)

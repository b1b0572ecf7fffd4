"""MindRecord files: written and read here, and exchanged with MindSpore in both directions."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from mindcode.data.mindrecord import MindRecordReader
from mindcode.data.mindrecord_format import Column, pack_column, unpack_array
from mindcode.data.mindrecord_writer import MindRecordWriter, shard_names
from mindcode.utils.errors import UserError

ROW_LENGTH = 600


def ragged(rows: int, seed: int) -> tuple[Column, Column, np.ndarray, np.ndarray]:
    """Columns of ids and labels, and the same as full arrays."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, ROW_LENGTH + 1, rows)
    ids = rng.integers(-(2**31), 2**31, int(lengths.sum())).astype(np.int32)
    ids[::2] = rng.integers(0, 32000, len(ids[::2]))
    ids[::3] = rng.integers(-128, 128, len(ids[::3]))
    full, labels = np.zeros((rows, ROW_LENGTH), np.int32), np.full((rows, ROW_LENGTH), -100, np.int32)
    kept = np.arange(ROW_LENGTH) < lengths[:, None]
    full[kept] = ids
    labels[kept] = -ids
    return Column(ids, lengths, 0), Column(-ids, lengths, -100), full, labels


def write(folder: Path, name: str, shards: int, columns: dict[str, Column], row_length: int = ROW_LENGTH) -> None:
    with MindRecordWriter(folder, name, shards, list(columns), row_length, "qa") as writer:
        writer.add(list(columns.values()))


def in_turn(rows: int, shards: int) -> np.ndarray:
    """Row numbers in the order in which the shards hold them."""
    return np.concatenate([np.arange(rows)[shard::shards] for shard in range(shards)])


@pytest.mark.parametrize("shards", [1, 3])
def test_what_is_written_is_read(tmp_path: Path, shards: int) -> None:
    ids, labels, full, full_labels = ragged(50, seed=shards)
    write(tmp_path, "a.mindrecord", shards, {"input_ids": ids, "labels": labels})
    reader = MindRecordReader(tmp_path / shard_names("a.mindrecord", shards)[0])
    found = reader.rows(np.arange(50))
    order = in_turn(50, shards)
    assert (len(reader), reader.columns, reader.row_length) == (50, ("input_ids", "labels"), ROW_LENGTH)
    assert found["input_ids"].dtype == np.int32
    np.testing.assert_array_equal(found["input_ids"], full[order])
    np.testing.assert_array_equal(found["labels"], full_labels[order])
    np.testing.assert_array_equal(
        MindRecordReader(tmp_path).rows(np.array([49, 3]))["labels"], full_labels[order[[49, 3]]]
    )


def test_every_width_of_value() -> None:
    values = np.array([0, -1, 127, 128, -128, -129, 32767, 32768, -32768, -32769, 2**31 - 1, -(2**31)], np.int32)
    packed = pack_column(Column(values, np.array([5, 7]), 0), row_length=9)
    np.testing.assert_array_equal(unpack_array(np.frombuffer(packed[0], np.uint8)), [*values[:5], 0, 0, 0, 0])
    np.testing.assert_array_equal(unpack_array(np.frombuffer(packed[1], np.uint8)), [*values[5:], 0, 0])
    assert len(packed[0]) == 4 + 3 + (1 + 1 + 1 + 2 + 1) + 4


def test_a_small_set_takes_little_room(tmp_path: Path) -> None:
    write(tmp_path, "a.mindrecord", 1, {"input_ids": Column(np.arange(18), np.array([9, 9]), 0)}, row_length=9)
    assert (tmp_path / "a.mindrecord").stat().st_blocks * 512 < 64 << 10


def test_shards_are_named_with_equal_digits() -> None:
    assert shard_names("x", 1) == ["x"]
    assert shard_names("x", 11)[::10] == ["x00", "x10"]


def test_mindspore_reads_ours_with_several_pages_and_shards(tmp_path: Path) -> None:
    import mindspore.dataset as ds

    rows = 6000
    ids, labels, full, full_labels = ragged(rows, seed=0)
    write(tmp_path, "two.mindrecord", 2, {"input_ids": ids, "labels": labels})
    write(tmp_path, "one.mindrecord", 1, {"input_ids": ids})
    assert (tmp_path / "two.mindrecord0").stat().st_size > 3 * (4 << 20), "several pages in a shard"
    names = ["input_ids", "labels"]
    data = ds.MindDataset(str(tmp_path / "two.mindrecord0"), columns_list=names, shuffle=False)
    found = list(data.create_tuple_iterator(num_epochs=1, output_numpy=True))
    order = in_turn(rows, 2)
    np.testing.assert_array_equal(np.stack([row[0] for row in found]), full[order])
    np.testing.assert_array_equal(np.stack([row[1] for row in found]), full_labels[order])
    single = ds.MindDataset(str(tmp_path / "one.mindrecord"), shuffle=False)
    found = list(single.create_tuple_iterator(num_epochs=1, output_numpy=True))
    np.testing.assert_array_equal(np.stack([row[0] for row in found]), full)
    np.testing.assert_array_equal(
        MindRecordReader(tmp_path / "one.mindrecord").rows(np.arange(rows))["input_ids"], full
    )


def test_more_rows_than_one_raw_page_holds(tmp_path: Path) -> None:
    import mindspore.dataset as ds

    rows = 700_000
    values = np.arange(rows, dtype=np.int32)
    write(tmp_path, "a.mindrecord", 1, {"input_ids": Column(values, np.ones(rows, np.int64), 0)}, row_length=1)
    reader = MindRecordReader(tmp_path / "a.mindrecord")
    chosen = np.array([0, 322_000, 323_000, rows - 1])
    np.testing.assert_array_equal(reader.rows(chosen)["input_ids"][:, 0], chosen)
    assert ds.MindDataset(str(tmp_path / "a.mindrecord"), shuffle=False).get_dataset_size() == rows


def test_ours_reads_mindspore(tmp_path: Path) -> None:
    from mindspore.mindrecord import FileWriter

    rng = np.random.default_rng(0)
    rows = rng.integers(-(2**40), 2**40, (3000, 600))
    rows[:, ::2] //= 2**34
    writer = FileWriter(str(tmp_path / "wide.mindrecord"), 1)
    writer.add_schema({"input_ids": {"type": "int64", "shape": [-1]}}, "wiki")
    writer.write_raw_data([{"input_ids": row // 2**10} for row in rows])
    writer.commit()
    found = MindRecordReader(tmp_path / "wide.mindrecord").rows(np.arange(3000))["input_ids"]
    np.testing.assert_array_equal(found, rows // 2**10)

    pairs = rng.integers(0, 32000, (4000, 2, 2500)).astype(np.int32)
    writer = FileWriter(str(tmp_path / "pair.mindrecord"), 2)
    writer.add_schema({name: {"type": "int32", "shape": [-1]} for name in ("input_ids", "labels")}, "qa")
    writer.write_raw_data([{"input_ids": row[0], "labels": row[1]} for row in pairs])
    writer.commit()
    columns = MindRecordReader(tmp_path / "pair.mindrecord0").rows(np.arange(4000))
    both = np.stack([columns["input_ids"], columns["labels"]], axis=1)
    assert sorted(row.tobytes() for row in both) == sorted(row.tobytes() for row in pairs), (
        "MindSpore deals rows at random"
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    ids, labels, _, _ = ragged(20, seed=1)
    write(tmp_path, "a.mindrecord", 1, {"input_ids": ids, "labels": labels})
    return tmp_path / "a.mindrecord"


def test_damage_is_named(small: Path) -> None:
    size = small.stat().st_size
    header = small.read_bytes()[:600]
    with open(small, "r+b") as stream:
        stream.truncate(size - 13 * 30)
        stream.seek((4 << 20) + 8)
        stream.write(b"\xff" * 16)
    with pytest.raises(UserError, match="row 0 is damaged"):
        MindRecordReader(small).rows(np.array([0]))
    with open(small, "r+b") as stream:
        stream.truncate((4 << 20) + 100)
    with pytest.raises(UserError, match="cut off at"):
        MindRecordReader(small)
    small.write_bytes(b"\x00" * 100)
    with pytest.raises(UserError, match="not a MindRecord file"):
        MindRecordReader(small)
    small.write_bytes(header[:100])
    with pytest.raises(UserError, match="not a MindRecord file"):
        MindRecordReader(small)


def test_missing_parts_are_named(small: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such MindRecord file"):
        MindRecordReader(tmp_path / "b.mindrecord")
    renamed = small.rename(tmp_path / "c.mindrecord")
    with pytest.raises(UserError, match="cannot be renamed"):
        MindRecordReader(renamed)
    renamed.rename(small)
    index = tmp_path / "a.mindrecord.db"
    index.write_bytes(b"no database" * 200)
    with pytest.raises(UserError, match="not a MindRecord index"):
        MindRecordReader(small)
    index.unlink()
    with pytest.raises(UserError, match=r"its index a\.mindrecord\.db is missing"):
        MindRecordReader(small)
    with pytest.raises(UserError, match="no MindRecord files"):
        MindRecordReader(tmp_path)


def test_the_first_shard_is_suggested(tmp_path: Path) -> None:
    ids, _, _, _ = ragged(6, seed=1)
    write(tmp_path, "a.mindrecord", 2, {"input_ids": ids})
    with pytest.raises(UserError, match=r"did you mean a.mindrecord0\?"):
        MindRecordReader(tmp_path / "a.mindrecord")
    (tmp_path / "a.mindrecord1").unlink()
    with pytest.raises(UserError, match=r"a\.mindrecord1: missing"):
        MindRecordReader(tmp_path / "a.mindrecord0")


def test_rows_of_unequal_length_are_refused(tmp_path: Path) -> None:
    for name, length in (("a.mindrecord", 3), ("b.mindrecord", 4)):
        write(tmp_path, name, 1, {"input_ids": Column(np.arange(length), np.array([length]), 0)}, row_length=length)
    with pytest.raises(UserError, match=r"different lengths \(3 to 4\)"):
        MindRecordReader(tmp_path).rows(np.arange(2))
    with pytest.raises(IndexError):
        MindRecordReader(tmp_path).rows(np.array([2]))


def test_columns_that_are_no_integers_are_refused(small: Path) -> None:
    text = small.read_bytes().replace(b'"int32"', b'"bytes"')
    small.write_bytes(text)
    with pytest.raises(UserError, match="is bytes; expected int32 arrays"):
        MindRecordReader(small)


def test_the_index_is_mindspores(small: Path) -> None:
    connection = sqlite3.connect(f"{small}.db")
    assert connection.execute("SELECT NAME FROM SHARD_NAME").fetchall() == [(small.name,)]
    assert connection.execute("SELECT COUNT(*), MAX(ROW_ID) FROM INDEXES").fetchall() == [(20, 19)]
    connection.close()


def test_too_many_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 to 1000"):
        MindRecordWriter(tmp_path, "a", 1001, ["input_ids"], 4, "wiki")

"""mindcode preprocess and its two shims, as a user runs them."""

import contextlib
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mindcode.cli.main import guard
from mindcode.data.mindrecord import MindRecordReader
from mindcode.data.tokenizer import load_tokenizer
from tests.helpers.slow_preprocess import qa_row, wiki_rows

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "tests" / "golden" / "llama_like.model"
WIKI = ROOT / "examples" / "data" / "wikitext2_sample.txt"
ALPACA = ROOT / "examples" / "data" / "mbpp_alpaca.json"
TOOLS = ROOT / "tools" / "dataset_preprocess"

ARGUMENTS_THAT_FAIL = {
    "alpaca_converter.py": ["--data_path", "missing.json"],
    "llama_preprocess.py": ["--input_glob", "missing.txt", "--model_file", "missing.model"],
}


def preprocess(*flags: object) -> int:
    return guard("mindcode.cli.preprocess", [str(flag) for flag in ("--model_file", MODEL, *flags)])


def fingerprint(folder: Path) -> dict[str, str]:
    """Digest of every file; of a database, whose file holds a version counter, of its content."""
    found = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        if content.startswith(b"SQLite"):
            with contextlib.closing(sqlite3.connect(path)) as database:
                content = repr(database.execute("SELECT * FROM INDEXES").fetchall()).encode()
        found[path.name] = hashlib.sha256(content).hexdigest()
    return found


@pytest.fixture(scope="module")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("qa") / "conversations.json"
    assert guard("mindcode.cli.alpaca", ["--data_path", str(ALPACA), "--output_path", str(path)]) == 0
    return path


def test_wiki_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "wiki.mindrecord"
    flags = ("--input_glob", WIKI, "--seq_length", 128, "--repeat", 2, "--output_file", output)
    assert preprocess(*flags) == 0
    shown = capsys.readouterr().out.splitlines()
    expected = wiki_rows(WIKI.read_text("utf-8"), load_tokenizer(MODEL).encode_with_specials, 129, repeat=2)
    assert shown[0] == f"{len(expected)} rows, {len(expected) * 129} tokens"
    assert shown[-2:] == [f"Transformed {len(expected)} records.", f"Transform finished, output files refer: {output}"]
    reader = MindRecordReader(output)
    np.testing.assert_array_equal(reader.rows(np.arange(len(reader)))["input_ids"], expected)
    names = ["wiki.mindrecord", "wiki.mindrecord.db", "wiki.mindrecord.summary.json"]
    assert sorted(path.name for path in output.parent.iterdir()) == names


def test_one_paragraph_longer_than_several_chunks(tmp_path: Path) -> None:
    lines = [line for line in WIKI.read_text("utf-8").split("\n") if line.strip() and not line.startswith(" =")]
    text = "\n".join(lines * -(-1_500_000 // sum(map(len, lines)))) + "\n\n one more . \n"
    (tmp_path / "text").write_text(text, "utf-8")
    output = tmp_path / "wiki"
    flags = ("--input_glob", tmp_path / "text", "--seq_length", 128, "--output_file", output)
    assert preprocess(*flags, "--num_workers", 2) == 0
    expected = wiki_rows(text, load_tokenizer(MODEL).encode_with_specials, 129)
    reader = MindRecordReader(output)
    np.testing.assert_array_equal(reader.rows(np.arange(len(reader)))["input_ids"], expected)
    assert json.loads(Path(f"{output}.summary.json").read_text())["records"] == 2


def test_qa_end_to_end(tmp_path: Path, conversations: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "qa.mindrecord"
    flags = ("--dataset_type", "qa", "--input_glob", conversations, "--seq_length", 512, "--output_file", output)
    assert preprocess(*flags, "--file_partition", 2, "--keep_masked") == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Transform finished, output files refer: {output}0"
    encode = load_tokenizer(MODEL).encode_with_specials
    records = json.loads(conversations.read_text("utf-8"))
    rows = [
        qa_row([(turn["from"], turn["value"]) for turn in record["conversations"]], encode, 513) for record in records
    ]
    expected = np.array(rows[::2] + rows[1::2])
    found = MindRecordReader(tmp_path).rows(np.arange(len(rows)))
    np.testing.assert_array_equal(found["input_ids"], expected[:, 0])
    np.testing.assert_array_equal(found["labels"], expected[:, 1])
    summary = json.loads((tmp_path / "qa.mindrecord.summary.json").read_text())
    assert summary["rows"] == len(rows) and summary["files"] == ["qa.mindrecord0", "qa.mindrecord1"]
    assert summary["inputs"][0]["sha256"] == hashlib.sha256(conversations.read_bytes()).hexdigest()
    assert summary["padding_tokens"] == rows_padding(expected[:, 0])


def rows_padding(ids: np.ndarray) -> int:
    return int(sum(len(row) - len(np.trim_zeros(row, "b")) for row in ids))


def test_the_number_of_workers_changes_nothing(tmp_path: Path, conversations: Path) -> None:
    found = []
    for workers in (1, 3):
        folder = tmp_path / str(workers)
        flags = ("--num_workers", workers, "--seq_length", 512, "--file_partition", 2)
        assert preprocess(*flags, "--input_glob", WIKI, "--output_file", folder / "w.mindrecord") == 0
        qa = (
            "--dataset_type",
            "qa",
            "--packing",
            "--input_glob",
            conversations,
            "--output_file",
            folder / "q.mindrecord",
        )
        assert preprocess(*flags, *qa) == 0
        found.append(fingerprint(folder))
    assert found[0] == found[1] and len(found[0]) == 10


def test_packing_saves_padding_and_says_how_much(tmp_path: Path, conversations: Path) -> None:
    summaries = []
    for name, flags in (("plain", ()), ("packed", ("--packing",))):
        output = tmp_path / f"{name}.mindrecord"
        qa = ("--dataset_type", "qa", "--input_glob", conversations, "--seq_length", 2048, "--output_file", output)
        assert preprocess(*qa, *flags) == 0
        summaries.append(json.loads(Path(f"{output}.summary.json").read_text()))
    plain, packed = summaries
    assert packed["tokens"] == plain["tokens"] and packed["records"] == plain["records"]
    assert packed["padding_share"] < 0.1 < 0.5 < plain["padding_share"]
    assert packed["padding_share_unpacked"] == plain["padding_share"]
    assert packed["rows_saved"] == plain["rows"] - packed["rows"]


def test_input_glob_is_a_glob(tmp_path: Path) -> None:
    for name in ("b", "a", "deep/c"):
        path = tmp_path / "in" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"text of {name} . \n" * 5)
    output = tmp_path / "x.mindrecord"
    assert preprocess("--input_glob", tmp_path / "in" / "**" / "*.txt", "--seq_length", 8, "--output_file", output) == 0
    inputs = json.loads(Path(f"{output}.summary.json").read_text())["inputs"]
    assert [Path(entry["path"]).name for entry in inputs] == ["a.txt", "b.txt", "c.txt"]


def test_a_second_run_does_nothing_unless_something_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "w.mindrecord"
    flags = ("--input_glob", WIKI, "--output_file", output)
    assert preprocess(*flags, "--seq_length", 64) == 0
    before = output.stat().st_mtime_ns
    first_end = capsys.readouterr().out.splitlines()[-2:]
    assert preprocess(*flags, "--seq_length", 64, "--num_workers", 1) == 0
    again = capsys.readouterr().out.splitlines()
    assert "already done" in again[0] and again[-2:] == first_end
    assert output.stat().st_mtime_ns == before
    assert preprocess(*flags, "--seq_length", 65) == 2
    assert "made with other settings (seq_length); pass --overwrite" in capsys.readouterr().err
    assert preprocess(*flags, "--seq_length", 65, "--file_partition", 2, "--overwrite") == 0
    assert not output.exists(), "the old set is gone"
    assert MindRecordReader(tmp_path).row_length == 66


@pytest.mark.parametrize("damage", ["w.mindrecord1", "w.mindrecord0.db"])
def test_a_damaged_set_is_not_done(tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    output = tmp_path / "w.mindrecord"
    flags = ("--input_glob", WIKI, "--output_file", output, "--seq_length", 64, "--file_partition", 2)
    assert preprocess(*flags) == 0
    before = fingerprint(tmp_path)
    os.truncate(tmp_path / damage, 5000)
    assert preprocess(*flags) == 2
    assert f"{output}: files missing or damaged ({damage}); pass --overwrite" in capsys.readouterr().err
    (tmp_path / damage).unlink()
    assert preprocess(*flags) == 2
    assert f"files missing or damaged ({damage}); pass --overwrite" in capsys.readouterr().err
    assert preprocess(*flags, "--overwrite") == 0
    assert fingerprint(tmp_path) == before


def test_files_that_only_look_like_the_set_stay(tmp_path: Path) -> None:
    """A user's text and a finished set whose names begin like the output's."""
    (tmp_path / "wiki103").write_text("text of its own\n" * 99)
    flags = ("--input_glob", WIKI, "--seq_length", 64)
    assert preprocess(*flags, "--output_file", tmp_path / "wiki2") == 0
    before = fingerprint(tmp_path)
    assert preprocess(*flags, "--output_file", tmp_path / "wiki") == 0, "wiki103 is not in the way"
    for shards in (2, 1):
        command = (*flags, "--output_file", tmp_path / "wiki", "--file_partition", shards)
        assert preprocess(*command, "--overwrite") == 0
        assert before.items() <= fingerprint(tmp_path).items()
    assert sorted(fingerprint(tmp_path).keys() - before.keys()) == ["wiki", "wiki.db", "wiki.summary.json"]


@pytest.mark.parametrize("name", ["wiki0", "wiki1.db", "wiki.summary.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"of somebody else\n" * 999])
def test_files_of_somebody_else_are_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    flags = ("--input_glob", WIKI, "--output_file", tmp_path / "wiki", "--seq_length", 64, "--file_partition", 2)
    for more in ((), ("--overwrite",)):
        assert preprocess(*flags, *more) == 2
        assert f"{tmp_path / name}: exists and belongs to no set called wiki; choose another" in capsys.readouterr().err
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, content)]


def test_the_input_and_other_sets_are_never_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "wiki2"
    text.write_bytes(WIKI.read_bytes())
    assert preprocess("--input_glob", text, "--output_file", text, "--seq_length", 64, "--overwrite") == 2
    assert f"{text}: exists and belongs to no set called wiki2" in capsys.readouterr().err
    assert text.read_bytes() == WIKI.read_bytes()
    text.unlink()
    flags = ("--input_glob", WIKI, "--seq_length", 64)
    assert preprocess(*flags, "--output_file", tmp_path / "wiki", "--file_partition", 3) == 0
    before = fingerprint(tmp_path)
    assert preprocess(*flags, "--output_file", text, "--overwrite") == 2, "wiki2 is a file of the set wiki"
    assert fingerprint(tmp_path) == before


def test_a_summary_that_says_too_little(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "wiki"
    flags = ("--input_glob", WIKI, "--output_file", output, "--seq_length", 64)
    assert preprocess(*flags) == 0
    path = Path(f"{output}.summary.json")
    summary = json.loads(path.read_text())
    for key, message in (("settings", "the summary does not say which"), ("bytes", "damaged (wiki, wiki.db)")):
        path.write_text(json.dumps({**summary, key: None}))
        assert preprocess(*flags) == 2
        assert message in capsys.readouterr().err
    assert preprocess(*flags, "--overwrite") == 0


def test_a_set_without_a_summary_is_known_by_its_header(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "wiki"
    flags = ("--input_glob", WIKI, "--output_file", output, "--seq_length", 64)
    assert preprocess(*flags, "--file_partition", 11) == 0
    Path(f"{output}.summary.json").unlink()
    (tmp_path / "wiki00").unlink()
    assert preprocess(*flags, "--file_partition", 11) == 2
    assert f"{output}00.db: exists; pass --overwrite or another --output_file" in capsys.readouterr().err
    assert preprocess(*flags, "--file_partition", 11, "--overwrite") == 0
    Path(f"{output}.summary.json").unlink()
    assert preprocess(*flags, "--overwrite") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wiki", "wiki.db", "wiki.summary.json"]


def conversation_flags(path: Path) -> tuple[object, ...]:
    """Rows of 256 tokens from `path`, into q.mindrecord beside it."""
    output = path.with_name("q.mindrecord")
    return ("--dataset_type", "qa", "--input_glob", path, "--seq_length", 256, "--output_file", output)


def test_bad_records_are_fatal_or_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([json.dumps(good), '{"broken', json.dumps({"conversations": 3}), json.dumps(good)]))
    flags = conversation_flags(path)
    assert preprocess(*flags) == 2
    assert f"error: {path}:2 (record 2): not JSON" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"], "nothing is left behind"
    assert preprocess(*flags, "--on_error", "skip") == 0
    summary = json.loads((tmp_path / "q.mindrecord.summary.json").read_text())
    assert (summary["rows"], summary["bad_records"]) == (2, 2)
    assert [entry["record"] for entry in summary["listed"]] == [f"{path}:2 (record 2)", f"{path}:3 (record 3)"]
    assert "2 bad records left out" in capsys.readouterr().out


def test_records_that_no_tokenizer_takes_can_be_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, path = (
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
        tmp_path / "a",
    )
    bad = [good.replace("b", "\\ud800"), good.replace('"user"', '["user"]'), good[:-1] + ', "n": ' + "9" * 5000 + "}"]
    bad += [good[:-1] + ', "n": ' + "[" * depth + "]" * depth + "}" for depth in (600, 5000)]
    path.write_text("\n".join([*bad, good]))
    flags = conversation_flags(path)
    for workers in (1, 2):
        assert preprocess(*flags, "--num_workers", workers) == 2
        assert f"error: {path}:1 (record 1): messages[1].content: half a character" in capsys.readouterr().err
    assert preprocess(*flags, "--on_error", "skip", "--num_workers", 2) == 0
    summary = json.loads((tmp_path / "q.mindrecord.summary.json").read_text())
    assert (summary["rows"], summary["bad_records"]) == (1, 5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--input_glob", "nothing*.txt"), "--input_glob nothing*.txt: matches no file"),
        (("--input_glob", WIKI, "--model_file", "missing.model"), "missing.model: no such tokenizer file"),
        (("--input_glob", WIKI, "--model_file", WIKI), "not a sentencepiece model"),
        (("--input_glob", WIKI, "--seq_length", 0), "--seq_length 0: expected 1 or more"),
        (("--input_glob", WIKI, "--seq_length", 10**6), "tokens, one row needs 1000001"),
        (("--input_glob", WIKI, "--file_partition", 10**12), "1 to 1000"),
        (("--input_glob", WIKI, "--dataset_type", "wikipedia"), "parquet files are not read here"),
        (("--input_glob", WIKI, "--dataset_type", "wike"), "--dataset_type: unknown name 'wike'; did you mean wiki?"),
        (("--input_glob", WIKI, "--packing"), "--packing: only for --dataset_type qa, not wiki"),
        (("--input_glob", WIKI, "--template", "nosuch"), "--template: only for --dataset_type qa, not wiki"),
        (("--input_glob", WIKI, "--on_error", "skip"), "--on_error: only for --dataset_type qa, not wiki"),
        (("--input_glob", WIKI, "--keep_masked"), "--keep_masked: only for --dataset_type qa, not wiki"),
        (("--input_glob", ALPACA, "--dataset_type", "qa", "--repeat", 5), "--repeat: only for --dataset_type wiki"),
        (("--input_glob", WIKI, "--dataset_type", "qa"), "not JSON"),
        (("--input_glob", ALPACA, "--dataset_type", "qa"), "alpaca_converter.py first"),
        (("--input_glob", WIKI, "--output_file", "."), "is a folder"),
        (("--input_glob", WIKI, "--output_file", "/dev/null/x.mindrecord"), "x.mindrecord: cannot be made ("),
        (("--input_glob", ALPACA, "--dataset_type", "qa", "--template", "vicuna_v9"), "unknown; did you mean vicuna"),
        (("--input_glob", ALPACA, "--dataset_type", "qa", "--template", "tokenizer"), "has no chat_template"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    flags: tuple[object, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert preprocess("--output_file", "out.mindrecord", *flags) == 2
    shown = capfd.readouterr().err.strip().splitlines()[-1]
    assert shown.startswith("mindcode: error: ") and message in shown
    assert list(tmp_path.iterdir()) == []


def test_rows_too_short_for_any_answer_say_so(
    tmp_path: Path, conversations: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    flags = ("--dataset_type", "qa", "--input_glob", conversations, "--seq_length", 8)
    assert preprocess(*flags, "--output_file", tmp_path / "x.mindrecord") == 2
    shown = capfd.readouterr().err.strip().splitlines()[-1]
    assert "no rows: all records were left out (0 bad, " in shown and "no target within the first 9 tokens" in shown


def test_a_killed_run_leaves_nothing_and_the_next_one_starts_cleanly(tmp_path: Path) -> None:
    big = tmp_path / "big.txt"
    big.write_text(WIKI.read_text("utf-8") * 60, "utf-8")
    output = tmp_path / "out" / "big.mindrecord"
    flags = ["--input_glob", str(big), "--model_file", str(MODEL), "--seq_length", "64", "--output_file", str(output)]
    command = [sys.executable, str(TOOLS / "llama_preprocess.py"), *flags, "--num_workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    staged = output.parent / f".{output.name}.staging" / output.name
    deadline = time.monotonic() + 60
    while not (staged.exists() and staged.stat().st_size > 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [path.name for path in output.parent.iterdir()] == [f".{output.name}.staging"]
    assert wait_until_group_is_empty(process.pid), "the workers end with their parent"
    flags[1] = str(WIKI)
    assert guard("mindcode.cli.preprocess", flags) == 0
    assert len(list(output.parent.iterdir())) == 3


def wait_until_group_is_empty(group: int) -> bool:
    for _ in range(500):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("name", ["alpaca_converter.py", "llama_preprocess.py"])
def test_the_shims_are_plain_scripts(tmp_path: Path, name: str) -> None:
    done = subprocess.run([sys.executable, str(TOOLS / name), "--help"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "usage:" in done.stdout
    failed = subprocess.run(
        [sys.executable, str(TOOLS / name), *ARGUMENTS_THAT_FAIL[name]], capture_output=True, text=True, cwd=tmp_path
    )
    assert failed.returncode == 2 and failed.stderr.startswith("mindcode: error: ")


def test_preprocessing_does_not_import_mindspore() -> None:
    program = (
        "import sys; import mindcode.cli.preprocess, mindcode.data.preprocess; sys.exit('mindspore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0

"""Preprocessing against the plain way (preprocess_peer.py) and against sentencepiece alone, on the same input.

python benchmarks/preprocess.py --model_file tokenizer.model
python benchmarks/preprocess.py --model_file tokenizer.model --rounds 5 --folder /scratch

The input is the sample data, repeated to 12 MB of text and 20,000 conversations. Both sides are whole commands,
start-up included; `mindcode preprocess` also flushes its output to the disk. What was made is removed at the end.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sentencepiece
from machine_common import machine

from mindcode.data.alpaca import convert_alpaca
from mindcode.data.conversations import parse_conversation
from mindcode.data.targets import script_writer
from mindcode.data.tokenizer import load_tokenizer
from mindcode.data.wiki import paragraphs, read_chunks

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "examples" / "data"
WIKI_BYTES, CONVERSATIONS, WORKERS = 12_000_000, 20_000, 2
PEER_SHARE, TOKENIZER_RATIO = 0.2, 1.5


def main() -> None:
    """Make the inputs, measure both kinds, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model_file", type=Path, default=ROOT / "tests" / "golden" / "llama_like.model")
    parser.add_argument("--seq_length", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    arguments = parser.parse_args()
    print(machine())
    print(f"{arguments.model_file.name}, seq_length {arguments.seq_length}, medians of {arguments.rounds} rounds")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        inputs = make_inputs(Path(folder))
        for kind, source in inputs.items():
            compare(kind, source, arguments.model_file, arguments.seq_length, arguments.rounds)


def make_inputs(folder: Path) -> dict[str, Path]:
    """12 MB of wiki text and 20,000 conversations, out of the samples."""
    text = (SAMPLES / "wikitext2_sample.txt").read_text(encoding="utf-8")
    wiki, rows, conversations = folder / "wiki.txt", folder / "rows.json", folder / "qa.json"
    wiki.write_text(text * -(-WIKI_BYTES // len(text.encode())), encoding="utf-8")
    samples = json.loads((SAMPLES / "mbpp_alpaca.json").read_text(encoding="utf-8"))
    rows.write_text(json.dumps([samples[i % len(samples)] for i in range(CONVERSATIONS)]), encoding="utf-8")
    convert_alpaca(rows, conversations)
    return {"wiki": wiki, "qa": conversations}


def compare(kind: str, source: Path, model: Path, seq_length: int, rounds: int) -> None:
    """Measure the sides in turn and print medians and ratios."""
    output = source.with_name(f"{kind}.mindrecord")
    ours = [sys.executable, "-m", "mindcode", "preprocess", "--dataset_type", kind, "--input_glob", source]
    ours += ["--model_file", model, "--seq_length", seq_length, "--output_file", output]
    ours += ["--num_workers", WORKERS, "--overwrite"]
    peer = [sys.executable, ROOT / "benchmarks" / "preprocess_peer.py", kind, source, model, seq_length]
    peer.append(source.with_name(f"peer_{kind}.mindrecord"))
    texts = tokenized_texts(kind, source, model)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    sides: dict[str, Callable[[], object]] = {
        "mindcode": lambda: run(ours),
        "peer": lambda: run(peer),
        "sentencepiece, 1 thread": lambda: processor.encode(texts, num_threads=1),
        "sentencepiece, 2 threads": lambda: processor.encode(texts, num_threads=2),
    }
    measured = {name: [seconds(side) for _ in range(rounds)] for name, side in sides.items()}
    times = {name: statistics.median(wall for wall, _ in pairs) for name, pairs in measured.items()}
    tokens = json.loads(output.with_name(f"{output.name}.summary.json").read_text())["tokens"]
    print(f"\n{kind}: {source.stat().st_size / 1e6:.1f} MB, {tokens / 1e6:.2f} million tokens")
    for name, value in times.items():
        cpu = statistics.median(used for _, used in measured[name])
        print(
            f"  {name:26} {value:7.2f} s  {tokens / value / 1e6:6.2f} million tokens/s  ({cpu:.2f} s of processor time)"
        )
    limits = {name: PEER_SHARE if name == "peer" else TOKENIZER_RATIO for name in sides if name != "mindcode"}
    for name, limit in limits.items():
        ratio = times["mindcode"] / times[name]
        print(f"  mindcode / {name:26} {ratio:5.2f}  (target {limit}: {'met' if ratio <= limit else 'missed'})")


def tokenized_texts(kind: str, source: Path, model: Path) -> list[str]:
    """The texts that have to be tokenized, ready in memory."""
    if kind == "wiki":
        return [part.text for chunk in read_chunks(source) for part in paragraphs(chunk)]
    write = script_writer(load_tokenizer(model), "vicuna")
    records = json.loads(source.read_text(encoding="utf-8"))
    return [piece.text for record in records for piece in write(parse_conversation(record)).pieces]


def run(command: list[object]) -> None:
    """Run a command that must succeed; its output is not shown."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{command[1]} failed: {done.stderr[-2000:]}")


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall time and processor time, of this process and those it started, of one call."""
    start, before = time.perf_counter(), os.times()
    work()
    return time.perf_counter() - start, sum(os.times()[:4]) - sum(before[:4])


if __name__ == "__main__":
    main()

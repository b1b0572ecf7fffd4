"""The plain way to make the same datasets, as a stand-in for MindFormers' script, written for this comparison.

python benchmarks/preprocess_peer.py wiki|qa INPUT TOKENIZER_MODEL SEQ_LENGTH OUTPUT

Like that script it works in one process, holds everything in lists, tokenizes one text at a time through pieces, a
conversation's rounds three times over, and hands rows to MindSpore's FileWriter one by one.
"""

import json
import sys
from pathlib import Path

import numpy as np
import sentencepiece

from tests.helpers.slow_preprocess import qa_row, wiki_rows


def main(kind: str, source: str, model: str, seq_length: str, output: str) -> None:
    """Make the dataset."""
    processor = sentencepiece.SentencePieceProcessor(model_file=model)
    special = {processor.id_to_piece(index): index for index in range(3)}

    def encode(text: str) -> list[int]:
        """A slow tokenizer: cut at special pieces, then pieces, then ids one by one."""
        parts = [text]
        for piece in special:
            parts = [p for part in parts for p in (_cut(part, piece) if part not in special else [part])]
        pieces = [p for part in parts for p in ([part] if part in special else processor.encode(part, out_type=str))]
        return [processor.piece_to_id(piece) for piece in pieces]

    row_length, text = int(seq_length) + 1, Path(source).read_text(encoding="utf-8")
    if kind == "wiki":
        rows = [{"input_ids": np.array(row, np.int32)} for row in wiki_rows(text, encode, row_length)]
    else:
        records = [[(turn["from"], turn["value"]) for turn in record["conversations"]] for record in json.loads(text)]
        pairs = [qa_row(turns, encode, row_length) for turns in records]
        rows = [{"input_ids": np.array(ids, np.int32), "labels": np.array(labels, np.int32)} for ids, labels in pairs]
    _write(rows, kind, output)


def _cut(text: str, piece: str) -> list[str]:
    """Split at `piece`, which stays as a part of its own; no empty parts."""
    parts = [part for before in text.split(piece) for part in (before, piece)][:-1]
    return [part for part in parts if part]


def _write(rows: list[dict[str, np.ndarray]], kind: str, output: str) -> None:
    from mindspore.mindrecord import FileWriter

    writer = FileWriter(output, 1, overwrite=True)
    writer.add_schema({name: {"type": "int32", "shape": [-1]} for name in rows[0]}, kind)
    for row in rows:
        writer.write_raw_data([row])
    writer.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])

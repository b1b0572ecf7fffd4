"""Makes the sample data of this folder out of the original WikiText-2 and MBPP files (see LICENSES.md).

python examples/data/make_samples.py --wikitext valid.txt --mbpp mbpp.jsonl --output_dir examples/data
"""

import argparse
import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

WIKITEXT_BYTES = 215_000
MBPP_TRAINING = range(601, 975)
_ARTICLE = re.compile(r"(?m)^ = [^=].* = $")


def main() -> None:
    """Write wikitext2_sample.txt and mbpp_alpaca.json."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wikitext", type=Path, required=True)
    parser.add_argument("--mbpp", type=Path, required=True)
    parser.add_argument("--output_dir", type=Path, required=True)
    arguments = parser.parse_args()
    articles = whole_articles(arguments.wikitext.read_text(encoding="utf-8"))
    (arguments.output_dir / "wikitext2_sample.txt").write_text(articles, encoding="utf-8")
    problems = [json.loads(line) for line in arguments.mbpp.read_text(encoding="utf-8").splitlines()]
    rows = [row for problem in problems if problem["task_id"] in MBPP_TRAINING for row in alpaca_rows(problem)]
    text = json.dumps(rows, ensure_ascii=False, indent=1)
    (arguments.output_dir / "mbpp_alpaca.json").write_text(text + "\n", encoding="utf-8")


def whole_articles(text: str) -> str:
    """The first articles that together have at most WIKITEXT_BYTES bytes."""
    starts = [match.start() for match in _ARTICLE.finditer(text)]
    ends = [end for end in starts[1:] if len(text[starts[0] : end].encode()) <= WIKITEXT_BYTES]
    return text[starts[0] : ends[-1]]


def alpaca_rows(problem: dict[str, Any]) -> list[dict[str, str]]:
    """One row, or none when the solution does not pass its own tests or its function cannot be found."""
    code = ast.unparse(ast.parse(problem["code"].replace("\r\n", "\n")))
    test = problem["test_list"][0].strip()
    called = re.findall(r"(\w+)\s*\(", test)
    defined = {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
    names = [name for name in called if name in defined]
    if not names or problem["test_setup_code"] or not passes(code, problem["test_list"]):
        return []
    request = " ".join(problem["text"].split())
    instruction = f"{request}\nCall it `{names[0]}`. For example, this should hold:\n{' '.join(test.split())}"
    return [{"instruction": instruction, "input": "", "output": f"```python\n{code}\n```"}]


def passes(code: str, tests: list[str]) -> bool:
    """Run the published tests on the reformatted solution."""
    program = "\n".join([code, *tests])
    try:
        return subprocess.run([sys.executable, "-c", program], timeout=20, capture_output=True).returncode == 0
    except subprocess.TimeoutExpired:
        return False


if __name__ == "__main__":
    main()

"""From what a model said to a program in JavaScript, Java, Go, C++ or Rust.

Either the answer goes on with the function that the prompt begins, up to its closing brace, or it has a fenced block
with the whole function.
"""

import re

from mindcode.evaluation.postprocess import FENCE, cut
from mindcode.evaluation.tasks.braces import cut_at_end
from mindcode.evaluation.types import Problem

_MAIN = {
    "java": r"^\s*public class Main\b",
    "go": r"^func main\(",
    "cpp": r"^int main\(",
    "rust": r"^(?:pub )?fn main\(",
}
"""Where a demonstration begins, which would stand beside that of the tests."""


def program_of(problem: Problem, base: str, answer: str, stops: tuple[str, ...]) -> str:
    """Return the whole program: `base` and the rest of the function, or the block that defines the function."""
    for block in FENCE.findall(answer):
        if re.search(rf"\b{re.escape(problem.entry_point)}\b", block):
            return _standing_alone(problem, block)
    answer = answer if answer.startswith("\n") else "\n" + answer
    return base.rstrip() + cut_at_end(problem.language, base, cut(answer, stops))


def _standing_alone(problem: Problem, block: str) -> str:
    """Return a block without its demonstration; of Java, in the class that the tests use, with its imports."""
    main = _MAIN.get(problem.language)
    text = re.split(main, block, maxsplit=1, flags=re.MULTILINE)[0] if main else block
    if problem.language == "go":
        return re.sub(r"^package \w+\s*", "", text, flags=re.MULTILINE)
    if problem.language != "java":
        return text
    imports = "".join(re.findall(r"^import [^\n]*\n", problem.declaration, flags=re.MULTILINE))
    if re.search(r"\bclass Solution\b", text):
        return imports + text
    own = "".join(re.findall(r"^import [^\n]*\n", text, flags=re.MULTILINE))
    rest = re.sub(r"^import [^\n]*\n", "", text, flags=re.MULTILINE)
    return f"{imports}{own}class Solution {{\n{rest}\n}}\n"

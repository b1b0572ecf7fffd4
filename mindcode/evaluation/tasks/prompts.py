"""How a problem is put to a model: one table row per style.

`completion` gives the bare prompt, for base models, with the stop strings of Chen et al. 2021 and the harnesses after
it. The other styles ask an instruction-tuned model for a fenced block; {prompt} stands for the problem's prompt.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mindcode.evaluation.types import Message, Problem, Prompt

COMPLETION_STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\nassert", "\n```")
"""What begins a line that no longer belongs to the function."""
FENCE_STOPS = ("\n```\n\n",)
"""The end of a fenced block; the empty line tells it from a bare opening fence."""


@dataclass(frozen=True)
class PromptStyle:
    """Templates of the user's turn (none: no chat) and of the beginning of the answer."""

    question: str
    opening: str
    stop: tuple[str, ...]


PROMPT_STYLES: Mapping[str, PromptStyle] = {
    "completion": PromptStyle(question="", opening="{prompt}", stop=COMPLETION_STOPS),
    "chat": PromptStyle(
        question=(
            "Complete the following Python function. Answer with the complete function in one ```python block.\n\n"
            "```python\n{prompt}\n```"
        ),
        opening="```python\n",
        stop=("\n```",),
    ),
    "chat-free": PromptStyle(
        question=(
            "Write a Python function that completes the code below. Answer with one fenced python block.\n\n"
            "```python\n{prompt}\n```"
        ),
        opening="",
        stop=FENCE_STOPS,
    ),
}
"""chat opens the fenced block for the model; chat-free lets it talk first. Of the 48 problems with the shortest prompts
SmolLM2-135M-Instruct solves 10 with chat and 11 with chat-free (greedy, fp32)."""


def make_prompt(style: PromptStyle, problem: Problem) -> Prompt:
    """Fill the templates of `style` with the problem's prompt."""
    text = style.opening.replace("{prompt}", problem.prompt)
    if not style.question:
        return Prompt(text=text, stop=style.stop)
    question = style.question.replace("{prompt}", problem.prompt.strip())
    return Prompt(text=text, messages=(Message("user", question),), stop=style.stop)

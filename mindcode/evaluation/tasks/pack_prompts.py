"""How HumanEvalPack's problems are put to a model (Muennighoff et al. 2023, arXiv 2308.07124): two tables.

A scenario says what is asked: an instruction and, for most, a context. A style is the dress that a family of models
was trained in. {task} is the instruction with its context, {base} the beginning of the function to write.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mindcode.evaluation.tasks.pack_diffs import apply_characters, apply_lines

PYTHON_STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\nassert")
STOPS: Mapping[str, tuple[str, ...]] = {
    "python": PYTHON_STOPS,
    "go": ("\n//", "\nfunc"),
    "js": ("\nconsole.", "\nmodule.exports"),
    "java": ("\npublic class",),
    "cpp": ("\nint main(",),
    "rust": ("\n#[cfg(test)]", "\nfn main("),
}
"""What can only follow the function; its closing brace is found afterwards."""
LANGUAGE_NAMES: Mapping[str, str] = {
    "python": "Python",
    "cpp": "C++",
    "js": "JavaScript",
    "java": "Java",
    "go": "Go",
    "rust": "Rust",
}
FILE_ENDINGS: Mapping[str, str] = {"python": "py", "cpp": "cpp", "js": "js", "java": "java", "go": "go", "rust": "rs"}


@dataclass(frozen=True)
class Scenario:
    """What is asked of the model; templates are filled with a problem's fields."""

    instruction: str
    context: str
    shows_docstring: bool
    """Whether the function's beginning has its docstring."""
    fixes: bool = False
    """Whether there is old code to put right."""
    describes: bool = False
    """Whether the answer is a text about the code instead of code."""


SCENARIOS: Mapping[str, Scenario] = {
    "fixtests": Scenario(
        "Fix bugs in {entry_point}.", "{base}{buggy_solution}\n{test}", shows_docstring=False, fixes=True
    ),
    "fixdocs": Scenario("Fix bugs in {entry_point}.", "{base}{buggy_solution}", shows_docstring=True, fixes=True),
    "explaindescribe": Scenario(
        "Provide a concise natural language description of the code using at most {length} characters.",
        "{base}{canonical_solution}",
        shows_docstring=False,
        describes=True,
    ),
    "explainsynthesize": Scenario(
        "Write functional code in {language} according to the description.", "{description}", shows_docstring=False
    ),
    "synthesize": Scenario("{instruction}", "", shows_docstring=True),
}


@dataclass(frozen=True)
class PackStyle:
    """A template for all scenarios, and one for fixing where the format keeps the old code apart."""

    template: str
    fix_template: str = ""
    """Also has {instruction}, {context} and {file}."""
    context_first: bool = False
    stop: tuple[str, ...] = ()
    only: tuple[str, ...] = tuple(SCENARIOS)
    """The scenarios that the format can express."""
    strips_task: bool = False
    patch: Callable[[str, str], str] | None = None
    """Makes the new code of the old code and the answer, which is a diff."""
    in_chat: bool = False
    """Whether {task} goes through the model's own chat template, and the template begins the answer."""


_FIXING = ("fixtests", "fixdocs")
_COMMIT_STOPS = ("<commit_before>", "<commit_msg>", "<commit_after>")
_ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{task}\n\n### Response:"
)
_DEEPSEEK = (
    "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you "
    "only answer questions related to computer science. For politically sensitive questions, security and privacy "
    "issues, and other non-computer science questions, you will refuse to answer\n"
    "### Instruction:\n{task}\n### Response:\n{base}"
)
_CHATML = PackStyle("<|im_start|>user\n{task}<|im_end|>\n<|im_start|>assistant\n{base}", stop=("<|im_end|>",))
_USER_TAGS = PackStyle("<|user|>\n{task}\n<|assistant|>\n{base}")

STYLES: Mapping[str, PackStyle] = {
    "chat": PackStyle("```{fence}\n{base}", stop=("\n```",), in_chat=True),
    "chat-free": PackStyle("", stop=("\n```\n\n",), in_chat=True),
    "continue": PackStyle("{base}", context_first=True, only=("synthesize",)),
    "instruct": PackStyle("{task}\n\n{base}", context_first=True),
    "octocoder": PackStyle("Question: {task}\n\nAnswer:\n{base}"),
    "octogeex": PackStyle("Question: {task}\n\nAnswer:\n{base}", strips_task=True),
    "starchat": PackStyle("<|system|>\n<|end|>\n<|user|>\n{task}<|end|>\n<|assistant|>\n{base}", stop=("<|end|>",)),
    "starcodercommit": PackStyle(
        "<commit_before><commit_msg>{task}<commit_after>{base}",
        fix_template="<commit_before>{context}<commit_msg>{instruction}<commit_after>{base}",
        stop=_COMMIT_STOPS,
    ),
    "instructcodet5p": PackStyle(_ALPACA + "{base}"),
    "wizardcoder": PackStyle(_ALPACA + "\n{base}"),
    "codellama": PackStyle("[INST] {task} [/INST] {base}", strips_task=True),
    "codellama-70b": PackStyle(
        "Source: user\n\n {task} Source: assistant\nDestination: user \n\n{base}", strips_task=True
    ),
    "deepseek": PackStyle(_DEEPSEEK, strips_task=True),
    "tulu": _USER_TAGS,
    "gritlm": _USER_TAGS,
    "zephyr": PackStyle("<|user|>\n{task}</s>\n<|assistant|>\n{base}"),
    "yi": _CHATML,
    "starchat2": _CHATML,
    "codeqwen": _CHATML,
    "codegemma": PackStyle("<start_of_turn>user\n{task}<end_of_turn>\n<start_of_turn>model\n{base}"),
    "aurora-m": PackStyle("### Instruction:\n{task}\n### Response:\n{base}"),
    "file": PackStyle(
        "",
        fix_template="<file_name>\n{file}\n<commit_before>\n{context}\n<commit_msg>\n{instruction}<commit_after>\n{base}",
        stop=_COMMIT_STOPS,
        only=_FIXING,
    ),
    "diff": PackStyle(
        "",
        fix_template="<commit_before>{context}<commit_msg>{instruction}<commit_after>",
        stop=_COMMIT_STOPS,
        only=_FIXING,
        patch=apply_characters,
    ),
    "diff-carper": PackStyle(
        "",
        fix_template="<NME> {file}\n<BEF> {context}\n<MSG> {instruction}\n<DFF>",
        stop=("<BEF>", "<MSG>", "<DFF>", "\\ No newline at end of file"),
        only=_FIXING,
        patch=apply_lines,
    ),
    "issue": PackStyle(
        "",
        fix_template=(
            "<issue_start>username_0: {instruction}\n\n```{context}```\nUpvotes: 100"
            "<issue_comment>username_1: Sure, here is the fixed code.\n\n```{base}"
        ),
        stop=("```",),
        only=_FIXING,
    ),
}
"""chat and chat-free are for any model with a chat template; chat opens the block of code. The others are raw text."""

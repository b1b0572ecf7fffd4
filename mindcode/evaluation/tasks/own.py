"""Tasks of one's own: YAML files in a folder (`--tasks_dir`), each named like its task.

    # my_problems.yaml
    data: my_problems.jsonl        # beside this file; HumanEval's format
    fields: {prompt: text, test: assertions}
    style: chat

Without `question` and `opening` the prompts have one of the styles of HumanEval.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mindcode.config.document import read_yaml
from mindcode.config.typed import build, field_types
from mindcode.evaluation.tasks.pack_prompts import LANGUAGE_NAMES
from mindcode.evaluation.tasks.problem_file import FieldNames, read_problems
from mindcode.evaluation.tasks.prompts import PROMPT_STYLES, PromptStyle
from mindcode.evaluation.tasks.task import Task, TaskOptions
from mindcode.evaluation.types import Problem
from mindcode.utils.errors import UserError
from mindcode.utils.lookup import lookup, nearest

_ENDING = ".yaml"
_CALLED: Mapping[str, str] = {
    "python": "check",
    "java": "class Main",
    "go": "func Test",
    "cpp": "int main()",
    "rust": "#[test]",
}
"""Language -> what the tests must have, because it is what is called: without it nothing would be checked."""


@dataclass(frozen=True)
class OwnTask:
    """What the YAML of a task may say."""

    data: str = ""
    """The problems; a relative path is taken from the folder of the YAML file."""
    language: str = "python"
    fields: FieldNames = field(default_factory=FieldNames)
    """What the fields of HumanEval are called in the data, where that differs."""
    style: str = "completion"
    """A name in prompts.PROMPT_STYLES."""
    question: str = ""
    """The user's turn of a chat, with {prompt}."""
    opening: str = ""
    """The beginning of the answer; without a question all that the model is given, with {prompt}."""
    stop: tuple[str, ...] = ()
    cpu_seconds: float | None = None
    """Processor time for one sample."""


def own_tasks(folder: Path) -> dict[str, Path]:
    """Return name -> YAML file of the tasks below a folder. Raises UserError for two of one name."""
    if not folder.is_dir():
        raise UserError(f"--tasks_dir: {folder}: no such folder; expected one with {_ENDING} files, one per task")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob(f"*{_ENDING}")):
        if path.stem in found:
            raise UserError(f"--tasks_dir: {path} and {found[path.stem]} are two tasks of one name; rename one of them")
        found[path.stem] = path
    return found


def make_own_task(path: Path, name: str, options: TaskOptions) -> Task[Problem]:
    """Return the task that a YAML file describes. Raises UserError (`file:line: key: ...`) for what is wrong in it."""
    said = _read(path)
    data = options.data_path or path.parent / said.data
    problems = read_problems(data, said.fields, said.language)
    called = _CALLED.get(said.language, "")
    for problem in problems:
        if called not in problem.test:
            raise UserError(
                f"{data}: {problem.task_id}: {said.fields.test} has no {called!r}: nothing would be checked"
            )
    return Task(name, problems, _style(said, options.prompt), cpu_seconds=said.cpu_seconds)


def _read(path: Path) -> OwnTask:
    tree = read_yaml(path)
    assert isinstance(tree.value, dict)
    for kind, entry in ((OwnTask, tree), (FieldNames, tree.value.get("fields"))):
        for key, part in entry.value.items() if entry and isinstance(entry.value, dict) else ():
            if key not in field_types(kind):
                known = list(field_types(kind))
                raise UserError(f"{part.where}: {key}: unknown key{nearest(key, known)} (known: {', '.join(known)})")
    said = build(OwnTask, tree)
    if not said.data:
        raise UserError(f"{path}: data: missing; expected the name of a .jsonl file with problems")
    lookup(LANGUAGE_NAMES, said.language, f"{path}: language")
    return said


def _style(said: OwnTask, named: str) -> PromptStyle:
    if named or not (said.question or said.opening):
        style = lookup(PROMPT_STYLES, named or said.style, "--prompt" if named else "style")
        return PromptStyle(style.question, style.opening, said.stop or style.stop)
    return PromptStyle(said.question, said.opening, said.stop)

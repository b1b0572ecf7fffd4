"""The rules of the house as a test: who may import whom, how long files and functions may be, who prints."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "mindcode"
FILES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = [
    *sorted(ROOT.glob("*.py")),
    *sorted((ROOT / "tools").rglob("*.py")),
    *sorted((ROOT / "benchmarks").rglob("*.py")),
]
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60

CORE = {"utils", "config"}
MAY_IMPORT = {
    "utils": set(),
    "config": {"utils"},
    "runtime": CORE,
    "model": CORE,
    "parallel": CORE | {"model", "runtime"},
    "data": CORE | {"runtime"},
    "checkpoint": CORE | {"runtime", "model", "parallel", "data"},
    "generation": CORE | {"runtime", "model", "parallel", "data"},
    "training": CORE | {"runtime", "model", "parallel", "data", "checkpoint"},
    "planner": CORE | {"model", "parallel"},
    "dryrun": CORE
    | {"runtime", "model", "parallel", "data", "checkpoint", "generation", "training", "planner", "neighbours"},
    "doctor": CORE | {"runtime", "evaluation.execution"},
    "neighbours": CORE | {"runtime"},
    "evaluation.types": CORE,
    "evaluation.metrics": CORE | {"evaluation.types"},
    "evaluation.postprocess": CORE | {"evaluation.types"},
    "evaluation.tasks": CORE | {"evaluation.types", "evaluation.metrics", "evaluation.postprocess"},
    "evaluation.execution": CORE | {"evaluation.types", "evaluation.metrics", "evaluation.postprocess"},
    "evaluation.backends": CORE | {"evaluation.types", "generation", "data"},
}
WITHOUT_MINDSPORE = {"utils", "config", "planner", "doctor"}
WITHOUT_MINDSPORE |= {"evaluation.tasks", "evaluation.execution", "evaluation.metrics"}
MAY_PRINT = ("cli", "evaluation.report")


def room_of(module: str) -> str:
    """`mindcode.evaluation.tasks.humaneval` -> `evaluation.tasks`, `mindcode.model.rope` -> `model`."""
    parts = module.split(".")[1:]
    return ".".join(parts[:2]) if parts[:1] == ["evaluation"] and len(parts) > 1 else ".".join(parts[:1])


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.append(node.module or "")
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_downward(path: Path) -> None:
    room = room_of(module_name(path))
    for imported in imports_of(parse(path)):
        if room in WITHOUT_MINDSPORE:
            assert imported.split(".")[0] != "mindspore", f"{room} must not need mindspore"
        target = room_of(imported) if imported.startswith("mindcode.") else ""
        if target in ("", "__version__") or room in ("", "cli", "__main__") or target == room:
            continue
        if room in ("evaluation.runner", "evaluation.report", "evaluation"):
            assert target.split(".")[0] in {*CORE, "evaluation"}, f"{room} imports {imported}"
        else:
            assert target in MAY_IMPORT[room], f"{room} imports {imported}"


@pytest.mark.parametrize("path", FILES + SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_are_small_and_say_what_they_are_for(path: Path) -> None:
    tree = parse(path)
    assert ast.get_docstring(tree), "every file opens with a docstring"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_only_the_command_line_and_the_report_print(path: Path) -> None:
    if module_name(path).startswith(tuple(f"mindcode.{room}" for room in MAY_PRINT)):
        return
    calls = [node for node in ast.walk(parse(path)) if isinstance(node, ast.Call)]
    assert not [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_no_unfinished_business(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "TODO" not in text and "FIXME" not in text
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef):
            assert node.args.kwarg is None, f"{node.name} takes catch-all keywords"


def test_the_model_is_a_single_device_program() -> None:
    words = ("rank", "shard", "pipeline_stage", "AllReduce", "device_num")
    for path in (PACKAGE / "model").glob("*.py"):
        names = {node.id for node in ast.walk(parse(path)) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(parse(path)) if isinstance(node, ast.Attribute)}
        assert not [word for word in words if word in names], path

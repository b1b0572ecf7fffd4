"""C++: HumanEvalPack's headers, compiled once, in front of the answer; its tests behind, their `main` renamed."""

import re
from pathlib import Path

from mindcode.evaluation.execution.assembly.program import DATA, Commands, Program, Secret
from mindcode.evaluation.execution.assembly.tools import SYSTEM_PATH, call, find_tool
from mindcode.evaluation.types import Problem

_HEADERS = "preamble.hpp"
_STANDARD = ("-std=c++11", "-w")
# Reads the number before anything of the answer is initialised; `asm` names keep the answer's own read() out of it.
_BEGIN = """\
static unsigned long long NAME_number;
extern "C" long NAME_read(int, void*, unsigned long) asm("read");
extern "C" long NAME_write(int, const void*, unsigned long) asm("write");
extern "C" int NAME_close(int) asm("close");
static void __attribute__((constructor(101))) NAME_begin() {
    for (char digit; NAME_read(0, &digit, 1) == 1 && digit != '\\n';)
        NAME_number = NAME_number * 10 + (unsigned long long)(digit - '0');
    NAME_close(0);
}
"""
_END = """
int main() {
    NAME_tests();
    char text[24], *first = text + 23;
    *first = '\\n';
    for (unsigned long long proof = NAME_number ^ KEYULL, end = 0; proof || !end; proof /= 10, end = 1)
        *--first = (char)('0' + proof % 10);
    NAME_write(1, first, (unsigned long)(text + 24 - first));
    return 0;
}
"""
_FIXES = {"CPP/23": "#define strlen(text) strlen(std::string(text))\n"}
"""Without it <cstring>'s own strlen answers this problem's tests."""


def assemble(problem: Problem, source: str, secret: Secret) -> Program:
    """Return the program: the answer up to its own `main`, its macros forgotten, and the tests."""
    answer = source.split("int main")[0]
    forgotten = "".join(f"#undef {name}\n" for name in _macros(answer))
    tests = problem.test.replace("int main()", f"static void {secret.name}_tests()", 1)
    fix = _FIXES.get(problem.task_id, "") if problem.mended else ""
    frame = (_BEGIN, _END.replace("KEY", str(secret.key)))
    begin, end = (part.replace("NAME", secret.name) for part in frame)
    return Program({"main.cpp": f"{begin}{answer}\n{forgotten}{fix}{tests}{end}"}, secret.key)


def _macros(answer: str) -> list[str]:
    """Return the names of the macros that an answer defines: none may change what the tests say."""
    text = re.sub(r"/\*.*?\*/", " ", answer.replace("\\\n", ""), flags=re.DOTALL)
    return re.findall(r"^[ \t]*(?:#|%:|\?\?=)[ \t]*define[ \t]+(\w+)", text, flags=re.MULTILINE)


def prepare(cache: Path) -> Commands:
    """Compile the headers. Raises NotBuiltError for a missing compiler or library."""
    compiler = find_tool("g++")
    headers = cache / _HEADERS
    headers.write_text((DATA / _HEADERS).read_text(encoding="utf-8"), encoding="utf-8")
    call(compiler, *_STANDARD, "-x", "c++-header", str(headers), "-o", f"{headers}.gch")
    build = (compiler, *_STANDARD, "-include", str(headers), "main.cpp", "-o", "program", "-lcrypto", "-lssl")
    return Commands(run=("./program",), compile=(build,), environment=SYSTEM_PATH)

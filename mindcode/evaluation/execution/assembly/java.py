"""Java: the answer's file and the tests' file, compiled by one long-lived virtual machine, run by one of their own."""

import re
from pathlib import Path

from mindcode.evaluation.execution.assembly.program import DATA, Commands, Program, Secret, content_of
from mindcode.evaluation.execution.assembly.tools import call, find_tool
from mindcode.evaluation.types import Problem

_EMPTY_MAIN = "public class Main {\n    }"
_PACKAGES = {
    "java.lang": "AssertionError Boolean Double Integer Long Math Object String StringBuilder",
    "java.util": "ArrayList Arrays HashMap HashSet List Map Objects Optional Random Set",
}
"""Classes that tests name. Imported one by one they are the library's, whatever classes the answer defines."""
_IMPORT = re.compile(r"^import .*;", re.MULTILINE)


def assemble(problem: Problem, source: str, secret: Secret) -> Program:
    """Return the program: the answer without an empty Main, and the tests with the prompt's imports."""
    del secret
    named = [
        f"import {package}.{name};\n"
        for package, names in _PACKAGES.items()
        for name in names.split()
        if re.search(rf"\b{name}\b", problem.test)
    ]
    imports = "\n".join(_IMPORT.findall(problem.prompt))
    files = {
        "Solution.java": source.replace(_EMPTY_MAIN, "").strip(),
        "Main.java": f"{''.join(named)}{imports}\n{problem.test}",
    }
    return Program(files, key=0)


def prepare(cache: Path) -> Commands:
    """Compile compiler and frame. Raises NotBuiltError without a JDK."""
    java = find_tool("java")
    sources = [str(DATA / name) for name in ("Compiler.java", "Frame.java")]
    call(find_tool("javac"), "-d", str(cache), *sources)
    machine = (java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto", "-Xmx1g")
    return Commands(
        run=(*machine, "-cp", ".", "Frame"),
        server=(*machine, "-cp", str(cache), "Compiler"),
        files={"Frame.class": content_of(cache / "Frame.class")},
    )

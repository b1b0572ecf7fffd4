"""Go: one file with all imports that its code uses, compiled and linked without the `go` command's book-keeping."""

import re
from pathlib import Path

from mindcode.evaluation.execution.assembly.program import Commands, Program, Secret
from mindcode.evaluation.execution.assembly.tools import call, find_tool
from mindcode.evaluation.types import Problem

_TESTIFY = "github.com/stretchr/testify/assert"
_OFFERED = ("math", "strings", "fmt", "strconv", "time", "bytes", "regexp", "sort", "math/rand", "crypto/md5")
"""Imported when the code uses them without saying so."""
_ALSO_KNOWN = (
    "bufio container/heap container/list container/ring crypto/sha1 crypto/sha256 encoding/binary encoding/hex "
    "encoding/json errors hash/fnv io math/big math/bits math/cmplx os reflect runtime sync sync/atomic text/template "
    "unicode unicode/utf8 unsafe context log"
)
_IMPORT = re.compile(r"^import[ \t]*(?:\(([^)]*)\)|(.*))[ \t]*$", re.MULTILINE)
_PATH = re.compile(r'(?:[\w.]+[ \t]+)?"[^"]+"')
_NO_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|`[^`]*`', re.DOTALL)
_FUNCTION = re.compile(r"^func (\w+)\(.*?^\}\n", re.MULTILINE | re.DOTALL)
_TEST = re.compile(r"^(func (Test\w*)\(t \*testing\.T\) \{)", re.MULTILINE)
_OWN_WORDS = " const true, false = 1 == 1, 1 == 0"
"""In Go an answer may give `true` another meaning; within the tests it has its own."""
# stands in for *testing.T, of which the tests need no more than a place to report to
_FRAME = """
type NAME_T struct{ failures int }

func (t *NAME_T) Errorf(format string, arguments ...interface{}) {
	t.failures++
	NAME_os.Stderr.WriteString("Assertion failed")
}

var NAME_number = func() (number uint64) {
	digit := []byte{0}
	for {
		if n, _ := NAME_os.Stdin.Read(digit); n == 0 || digit[0] == '\\n' {
			break
		}
		number = number*10 + uint64(digit[0]-'0')
	}
	NAME_os.Stdin.Close()
	return
}()

func main() {
	t := &NAME_T{}
	CALLS
	if t.failures > 0 {
		NAME_os.Exit(1)
	}
	NAME_os.Stdout.WriteString(NAME_strconv.FormatUint(NAME_number^KEY, 10) + "\\n")
}
"""


def assemble(problem: Problem, source: str, secret: Secret) -> Program:
    """Return the program: all imports, the answer without its `main`, the tests on a stand-in for testing.T.

    Unless mended, a package that the answer does not import is imported by the last part of its path, as the BigCode
    harness does, which fails for math/rand and crypto/md5, and the prompt's helpers are left out where the answer
    does not repeat them: HumanEvalPack's declarations in Go do not.
    """
    source += "".join(_helpers(problem.prompt, source)) if problem.mended else ""
    answer = re.sub(r"^func main\(\)", f"func {secret.name}_main()", _IMPORT.sub("", source), flags=re.MULTILINE)
    answer = re.sub(r"^package[ \t]+\w+", "", answer, flags=re.MULTILINE)
    tests = _TEST.sub(rf"\1{_OWN_WORDS}", problem.test).replace("*testing.T", f"*{secret.name}_T")
    calls = "; ".join(f"{name}(t)" for _, name in _TEST.findall(problem.test))
    frame = _FRAME.replace("NAME", secret.name).replace("CALLS", calls).replace("KEY", str(secret.key))
    imports = [*_imports(problem, source, answer + tests), f'{secret.name}_os "os"']
    lines = "".join(f"import {line}\n" for line in [*imports, f'{secret.name}_strconv "strconv"'])
    return Program({"main.go": f"package main\n{lines}{answer}\n{tests}\n{frame}"}, secret.key)


def _helpers(prompt: str, source: str) -> list[str]:
    """Return the whole functions of the prompt that the answer does not define."""
    defined = set(re.findall(r"^func (\w+)\(", source, flags=re.MULTILINE))
    return ["\n" + match.group() for match in _FUNCTION.finditer(prompt) if match[1] not in defined]


def _imports(problem: Problem, source: str, code: str) -> list[str]:
    """Return what to import: what the answer does, what the tests need, and what the code uses besides.

    An import that stands in the prompt and that the answer has no use for is left out; one of the answer's own is an
    error, as in any Go program.
    """
    names = set(re.findall(r"\b(\w+)\.", _NO_CODE.sub("", code)))
    given = set(_imported(problem.prompt)) if problem.mended else set()
    found = [line for line in _imported(source) if line not in given or _name(line) in names]
    found += [line for line in _imported(problem.setup) if line not in ('"testing"', *found)]
    for path in _OFFERED:
        line = f'"{path}"'
        if line not in found and _name(line) in names:
            found.append(line if problem.mended else f'"{_name(line)}"')
    return found


def _imported(code: str) -> list[str]:
    """Return the packages that code imports, each as it stands there: `"math"` or `m "math"`."""
    return [line.strip() for block in _IMPORT.findall(code) for line in _PATH.findall("".join(block))]


def _name(line: str) -> str:
    return line.strip('"').rsplit("/", 1)[-1]


def prepare(cache: Path) -> Commands:
    """Compile the packages that programs may import. Raises NotBuiltError without Go or testify."""
    go = find_tool("go")
    environment = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(cache / "build")}
    packages = (_TESTIFY, *_OFFERED, *_ALSO_KNOWN.split())
    line = "{{if .Export}}packagefile {{.ImportPath}}={{.Export}}{{end}}"
    compiled = call(go, "list", "-export", "-deps", "-f", line, *packages, environment=environment)
    table = cache / "packages"
    table.write_text(compiled, encoding="utf-8")
    tools = Path(call(go, "env", "GOTOOLDIR").strip())
    imports = ("-importcfg", str(table))
    return Commands(
        run=("./program",),
        compile=(
            (str(tools / "compile"), "-p", "main", *imports, "-o", "main.a", "main.go"),
            (str(tools / "link"), "-s", "-w", *imports, "-o", "program", "main.a"),
        ),
        environment={"GOMAXPROCS": "2"},
    )

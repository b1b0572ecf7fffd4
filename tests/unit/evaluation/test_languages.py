"""Answers in five languages: right ones pass, wrong ones fail for the right reason, tricks do not help."""

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mindcode.evaluation.execution.assembly import cpp, go, java, javascript, rust
from mindcode.evaluation.execution.assembly.known_good import KNOWN_GOOD
from mindcode.evaluation.execution.assembly.program import Secret
from mindcode.evaluation.execution.caches import BUILDS, commands_of
from mindcode.evaluation.execution.languages import LANGUAGES, usual_seconds
from mindcode.evaluation.execution.limits import Limits
from mindcode.evaluation.execution.pool import judge_samples
from mindcode.evaluation.execution.program_judge import ProgramJudge
from mindcode.evaluation.execution.toolchains import missing
from mindcode.evaluation.tasks.humanevalpack import load_pack
from mindcode.evaluation.types import Problem, Sample, Verdict
from mindcode.utils.cache import cache_folder

SECRET = Secret(key=12345, name="frame_x")
SHORT = Limits(cpu_seconds=1.0)

# Each answer to "twice the number" of KNOWN_GOOD would pass for a judge that trusts exit codes, words or the answer.
TRICKS = {
    "cpp": {
        "exit": "#include <unistd.h>\nint twice(int x) { _exit(0); }",
        "exit_before_main": "#include <unistd.h>\nstruct S { S() { _exit(0); } } s; int twice(int) { return 0; }",
        "own_main": "int twice(int) { return 0; }\nint main() { return 0; }",
        "macro_assert": "#define assert(x)\n#define NDEBUG\n#define __assert_fail(...) (void)0\n"
        "int twice(int x) { return 0; }",
        "macro_with_a_break": "#def\\\nine __assert_fail(...) (void)0\nint twice(int x) { return 0; }",
        "abort_is_exit": "#include <csignal>\n#include <unistd.h>\n"
        "int twice(int x) { signal(SIGABRT, [](int) { _exit(0); }); return 0; }",
        "repeats_the_number": "#include <unistd.h>\n__attribute__((constructor(101))) void f() { char c[99]; "
        "write(1, c, read(0, c, 99)); _exit(0); }\nint twice(int x) { return 0; }",
        "forks": "#include <unistd.h>\nint twice(int x) { if (fork() > 0) _exit(0); return 0; }",
        "kills_the_judge": "#include <csignal>\n#include <unistd.h>\n"
        "int twice(int x) { kill(getppid(), 9); return 0; }",
        "reads_the_tests": '#include <fstream>\nint twice(int x) { return std::ifstream("main.cpp").good() ? 8 : 0; }',
    },
    "go": {
        "exit": 'import "os"\nfunc Twice(x float64) float64 { os.Exit(0); return 0 }',
        "exit_before_main": 'import "os"\nfunc init() { os.Exit(0) }\nfunc Twice(x float64) float64 { return 0 }',
        "own_main": "func main() {}\nfunc Twice(x float64) float64 { return 0 }",
        "own_test": 'import "testing"\nfunc TestTwice(t *testing.T) {}\nfunc Twice(x float64) float64 { return 0 }',
        "prints": 'import "fmt"\nfunc Twice(x float64) float64 { fmt.Println("PASS\\nok"); return 0 }',
        "repeats_the_number": 'import ("io"; "os")\nfunc init() { b, _ := io.ReadAll(io.LimitReader(os.Stdin, 5)); '
        "os.Stdout.Write(b); os.Exit(0) }\nfunc Twice(x float64) float64 { return 0 }",
        "kills_the_judge": 'import "syscall"\n'
        "func Twice(x float64) float64 { syscall.Kill(syscall.Getppid(), 9); return 0 }",
    },
    "java": {
        "exit": "class Solution { int twice(int x) { System.exit(0); return 0; } }",
        "halt": "class Solution { int twice(int x) { Runtime.getRuntime().halt(0); return 0; } }",
        "own_error": "class AssertionError extends Error {} class Solution { int twice(int x) { return 0; } }",
        "own_main": "class Solution { int twice(int x) { return 0; } }\n"
        "public class Main { public static void main(String[] a) {} }",
        "own_frame": "class Solution { int twice(int x) { return 0; } }\n"
        "class Frame { public static void main(String[] a) throws Exception { System.in.transferTo(System.out); } }",
        "prints": 'class Solution { int twice(int x) { System.out.println("passed"); return 0; } }',
        "other_thread": "class Solution { int twice(int x) { new Thread(() -> System.exit(0)).start(); "
        "while (true) Thread.yield(); } }",
    },
    "js": {
        "exit": "const twice = (x) => process.exit(0)",
        "exit_at_once": "const twice = (x) => 0; process.reallyExit(0)",
        "quiet_assert": "const twice = (x) => 0; console.assert = () => {}",
        "quiet_console": "const twice = (x) => 0; globalThis.console = { assert() {} }",
        "other_exit_code": "const twice = (x) => 0; process.on('exit', () => { process.exitCode = 0 })",
        "prints": "const twice = (x) => { console.log('passed'); return 0 }",
        "own_json": "const JSON = { stringify: () => '8' }; const twice = (x) => 0",
        "patched_json": "JSON.stringify = () => '8'; const twice = (x) => { JSON.stringify = () => '8'; return 0 }",
        "arrays_to_json": "Array.prototype.toJSON = () => 8; const twice = (x) => { "
        "Array.prototype.toJSON = () => 8; return 0 }",
        "locked_to_json": "Object.defineProperty(Array.prototype, 'toJSON', { value: () => 8 }); "
        "const twice = (x) => 0",
        "objects_to_json": "Object.prototype.toJSON = () => 8; const twice = (x) => 0",
        "patched_array": "Array.prototype.push = () => 0; Array.from = () => [8]; const twice = (x) => 0",
        "patched_freeze": "Object.freeze = Object.defineProperty = Reflect.deleteProperty = () => true; "
        "JSON.stringify = () => '8'; const twice = (x) => 0",
        "looks_at_its_caller": "function twice(x) { return Number(twice.caller.toString().match(/=== (\\d+)/)[1]) }",
        "reads_the_tests": "const twice = (x) => Number(require('fs').readFileSync('tests.js', 'utf8')[0])",
        "patched_write": "const twice = (x) => 0; require('fs').writeSync = () => 0; process.reallyExit = () => 0",
        "kills_the_judge": "const twice = (x) => { process.kill(process.ppid, 'SIGKILL'); return 0 }",
    },
    "rust": {
        "exit": "fn twice(x: i32) -> i32 { std::process::exit(0) }",
        "own_main": "fn main() { std::process::exit(0) }\nfn twice(x: i32) -> i32 { 0 }",
        "macro": "macro_rules! assert_eq { ($($t:tt)*) => {} }\nfn twice(x: i32) -> i32 { 0 }",
        "own_std": "mod std { pub use core::*; }\nfn twice(x: i32) -> i32 { 0 }",
        "quiet_panic": "fn twice(x: i32) -> i32 { std::panic::set_hook(Box::new(|_| std::process::exit(0))); 0 }",
        "prints": 'fn twice(x: i32) -> i32 { println!("test result: ok"); 0 }',
        "starts_a_process": "fn twice(x: i32) -> i32 { "
        'if std::process::Command::new("/bin/true").spawn().is_ok() { 8 } else { 0 } }',
    },
}
NOT_COMPILED = {"own_test", "own_main", "own_error"}
"""Tricks that end at the compiler already."""
RIGHT = {name: known.canonical_solution for name, known in KNOWN_GOOD.items()}
WRONG = {
    "cpp": "int twice(int x) { return 3 * x; }",
    "go": "func Twice(x float64) float64 { return 3 * x }",
    "java": "class Solution { int twice(int x) { return 3 * x; } }",
    "js": "const twice = (x) => 3 * x",
    "rust": "fn twice(x: i32) -> i32 { 3 * x }",
}
NO_PROGRAMS = {
    "cpp": "int twice(",
    "go": "func Twice(",
    "java": "class {",
    "js": "const twice = (",
    "rust": "fn twice(",
}
ENDLESS = {
    "cpp": "int twice(int x) { for (volatile int i = 0;; i = 0) {} }",
    "go": "func Twice(x float64) float64 { for {} }",
    "java": "class Solution { int twice(int x) { while (true) {} } }",
    "js": "const twice = (x) => { while (true) {} }",
    "rust": "fn twice(x: i32) -> i32 { loop {} }",
}
# a process that outlives its parent in a session of its own, told from others by its 86399 seconds
ORPHANS = {
    "cpp": '#include <cstdlib>\nint twice(int x) { std::system("setsid sleep 86399 &"); return 2 * x; }',
    "rust": 'fn twice(x: i32) -> i32 { std::process::Command::new("/bin/sleep").arg("86399").spawn().ok(); 2 * x }',
    "go": 'import ("os/exec"; "syscall")\nfunc Twice(x float64) float64 { c := exec.Command("/bin/sleep", "86399"); '
    "c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}; c.Start(); return 2 * x }",
    "java": "class Solution { int twice(int x) { try { "
    'new ProcessBuilder("/usr/bin/setsid", "/bin/sleep", "86399").start(); } catch (Exception e) {} return 2 * x; } }',
    "js": "const twice = (x) => { require('child_process').spawn('/bin/sleep', ['86399'], "
    "{ detached: true, stdio: 'ignore' }).unref(); return 2 * x }",
}


@pytest.fixture(scope="module", params=LANGUAGES)
def judge(request: pytest.FixtureRequest) -> Iterator[ProgramJudge]:
    if reason := missing(request.param):
        pytest.skip(reason)
    found = ProgramJudge(request.param, SHORT)
    yield found
    found.close()


def verdict_on(judge: ProgramJudge, answer: str) -> Verdict:
    return judge.try_sample(KNOWN_GOOD[judge.name], answer)


def test_right_wrong_and_no_program(judge: ProgramJudge) -> None:
    assert verdict_on(judge, RIGHT[judge.name]).result == "passed"
    wrong = verdict_on(judge, WRONG[judge.name])
    assert (wrong.passed, wrong.kind) == (False, "wrong"), wrong
    for answer in ("", NO_PROGRAMS[judge.name]):
        none = verdict_on(judge, answer)
        assert not none.passed
        assert none.kind == ("error" if judge.name == "js" else "does not compile"), none


def test_an_endless_answer_is_timed_out_and_the_next_one_judged(judge: ProgramJudge) -> None:
    assert verdict_on(judge, ENDLESS[judge.name]).kind == "timed out"
    assert verdict_on(judge, RIGHT[judge.name]).passed


def test_no_trick_passes(judge: ProgramJudge) -> None:
    verdicts = {name: verdict_on(judge, answer) for name, answer in TRICKS[judge.name].items()}
    assert [name for name, verdict in verdicts.items() if verdict.passed] == []
    assert {name for name, verdict in verdicts.items() if verdict.kind == "does not compile"} <= NOT_COMPILED
    assert verdict_on(judge, RIGHT[judge.name]).passed


def test_nothing_is_left_behind(judge: ProgramJudge) -> None:
    verdict_on(judge, ORPHANS[judge.name])
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    assert not [line for line in lines if b"86399" in line]


def test_the_cache_is_built_once(judge: ProgramJudge) -> None:
    files = sorted(cache_folder(BUILDS).glob(f"{judge.name}-*/commands.json"))
    before = [path.stat().st_mtime_ns for path in files]
    ProgramJudge(judge.name, SHORT).close()
    assert files and before == [path.stat().st_mtime_ns for path in files]


def test_builds_that_nobody_uses_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := missing("js"):
        pytest.skip(reason)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("js-old", "js-recent"):
        (cache_folder(BUILDS) / name).mkdir(parents=True)
        (cache_folder(BUILDS) / name / "lock").touch()
    os.utime(cache_folder(BUILDS) / "js-old" / "lock", (0, 0))
    commands_of("js")
    assert not (cache_folder(BUILDS) / "js-old").exists()
    assert (cache_folder(BUILDS) / "js-recent").exists()


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for name, language in LANGUAGES.items():
        reason = missing.__wrapped__(name)
        assert reason is not None
        assert reason.startswith(f"{language.title} cannot be judged here: {language.version[0]} is not installed")
        assert language.packages in reason
    assert missing("python") is None


def test_processor_time_by_language() -> None:
    assert usual_seconds("python") == 3.0
    assert {usual_seconds(name) for name in LANGUAGES} == {10.0}


def problem(
    language: str, test: str = "", prompt: str = "", setup: str = "", task_id: str = "t/0", mended: bool = True
) -> Problem:
    return Problem(task_id, prompt, "f", test, language=language, setup=setup, mended=mended)


def go_imports(answer: str, prompt: str = "", mended: bool = True) -> list[str]:
    setup = 'package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n'
    test = "func TestF(t *testing.T) {\n    assert := assert.New(t)\n}\n"
    text = go.assemble(problem("go", test, prompt, setup, mended=mended), answer, SECRET).files["main.go"]
    return [line.removeprefix("import ") for line in text.splitlines() if line.startswith("import ")][:-2]


def test_go_imports() -> None:
    testify = '"github.com/stretchr/testify/assert"'
    assert go_imports("func F() {}") == [testify]
    assert go_imports('import "math"\nfunc F() { math.Abs(1) }') == ['"math"', testify]
    assert go_imports("func F() { md5.Sum(nil); rand.Int() }") == [testify, '"math/rand"', '"crypto/md5"']
    assert go_imports("func F() { rand.Int() }", mended=False) == [testify, '"rand"']
    assert go_imports('import m "math"\nfunc F() { m.Abs(1) }') == ['m "math"', testify]
    assert go_imports('func F() string { return "time.Now" } // sort.Ints') == [testify]
    unused = 'import (\n    "strings"\n)\n'
    assert go_imports(unused + "func F() {}") == ['"strings"', testify], "Go refuses it, and so it should"
    assert go_imports(unused + "func F() {}", prompt=unused) == [testify], "the answer had no say"
    assert go_imports(unused + "func F() {}", prompt=unused, mended=False) == ['"strings"', testify]


def test_go_answers_are_given_the_helpers_of_the_prompt() -> None:
    helper = "func Half(x int) int {\n\treturn x / 2\n}\n"
    prompt = f"// Halves.\n{helper}\n// Twice.\nfunc F(x int) int {{\n"
    for answer, mended, times in (("", True, 1), (helper, True, 1), ("", False, 0)):
        asked = problem("go", "", prompt, KNOWN_GOOD["go"].setup, mended=mended)
        text = go.assemble(asked, f"{answer}func F(x int) int {{ return Half(4 * x) }}\n", SECRET).files["main.go"]
        assert text.count("func Half(") == times and text.count("func F(") == 1


def test_go_answers_cannot_redefine_true() -> None:
    if reason := missing("go"):
        pytest.skip(reason)
    test = "func TestF(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(true, F())\n}\n"
    asked = problem("go", test, setup=KNOWN_GOOD["go"].setup)
    answers = ("func F() bool { return true }", "var true = false\nfunc F() bool { return false }")
    with closing(ProgramJudge("go", SHORT)) as judge:
        assert [judge.try_sample(asked, answer).passed for answer in answers] == [True, False]


def test_cpp_program() -> None:
    test = "#undef NDEBUG\n#include<assert.h>\nint main(){ assert(f()); }"
    answer = "#define ONE 1\n /* #define TWO */\n#  define f(x) x\nint f() { return ONE; }\nint main() { return 0; }"
    text = cpp.assemble(problem("cpp", test), answer, SECRET).files["main.cpp"]
    assert "#undef ONE\n#undef f\n" in text and "#undef TWO" not in text
    assert text.count("int main()") == 1 and "frame_x_tests(){ assert(f()); }" in text
    for mended, times in ((True, 1), (False, 0)):
        program = cpp.assemble(problem("cpp", test, task_id="CPP/23", mended=mended), answer, SECRET)
        assert program.files["main.cpp"].count("#define strlen") == times


def test_rust_program() -> None:
    test = "#[cfg(test)]\nmod tests {\n    use super::*;\n\n#[test]\n    fn test_f() { assert_eq!(f(), 1); }\n}\n"
    answer = "fn main(){}\nfn f() -> i32 { 1 }\nfn main() { f(); }"
    text = rust.assemble(problem("rust", test), answer, SECRET).files["main.rs"]
    assert text.count("fn main()") == 1 and "fn frame_x_main(){}" in text
    assert "pub fn test_f() { ::std::assert_eq!(f(), 1); }" in text and "frame_x_tests::test_f();" in text


@pytest.mark.parametrize(("language", "file"), [("rust", "main.rs"), ("go", "main.go"), ("cpp", "main.cpp")])
def test_every_test_is_called(language: str, file: str) -> None:
    marks = {"rust": r"#\[test\]", "go": r"^func Test", "cpp": r"^int main\(\)"}
    calls = {"rust": r"frame_x_tests::\w+\(\)", "go": r"\bTest\w+\(t\)", "cpp": r"^    frame_x_tests\(\);"}
    for one in load_pack(language):
        text = LANGUAGES[language].assemble(one, one.prompt, SECRET).files[file]
        expected = len(re.findall(marks[language], one.test, re.MULTILINE))
        assert len(re.findall(calls[language], text, re.MULTILINE)) == expected > 0, one.task_id


def test_java_and_javascript_programs() -> None:
    test = "public class Main {\n    public static void main(String[] args) { List<Integer> l; }\n}"
    answer = "class Solution {}\npublic class Main {\n    }"
    files = java.assemble(problem("java", test, "import java.util.*;\n"), answer, SECRET).files
    assert files["Solution.java"] == "class Solution {}"
    assert "import java.util.List;" in files["Main.java"] and "import java.util.*;" in files["Main.java"]
    program = javascript.assemble(problem("js", "console.assert(f() === 1)"), "const f = 1", SECRET)
    assert "frame_x_check(f() === 1)" in program.message and not program.files


def judged(language: str, answers: dict[str, str]) -> dict[str, Verdict]:
    if reason := missing(language):
        pytest.skip(reason)
    problems = {one.task_id: one for one in load_pack(language)}
    samples = [Sample(task_id, answer) for task_id, answer in answers.items()]
    limits = Limits(cpu_seconds=usual_seconds(language))
    return {verdict.task_id: verdict for _, verdict in judge_samples(problems, samples, limits)}


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_all_canonical_solutions_pass(language: str) -> None:
    answers = {one.task_id: one.prompt + one.canonical_solution for one in load_pack(language)}
    verdicts = judged(language, answers)
    assert len(verdicts) == 164
    failed = {task_id for task_id, verdict in verdicts.items() if not verdict.passed}
    # the reference for Go/95 depends on the order in which Go walks over a map, which is random by design
    assert failed <= {"Go/95"}, failed


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_buggy_and_no_empty_solution_passes(language: str) -> None:
    problems = load_pack(language)
    for answers in (
        {one.task_id: one.prompt + one.buggy_solution for one in problems},
        {one.task_id: one.prompt for one in problems},
    ):
        assert [task_id for task_id, verdict in judged(language, answers).items() if verdict.passed] == []


def test_the_pool_judges_a_mix_of_languages() -> None:
    names = [name for name in ("js", "cpp") if missing(name) is None]
    if len(names) < 2:
        pytest.skip("needs node and g++")
    problems = {KNOWN_GOOD[name].task_id: KNOWN_GOOD[name] for name in names}
    samples = [Sample(KNOWN_GOOD[name].task_id, answer) for name in names for answer in (RIGHT[name], WRONG[name])]
    found = dict(judge_samples(problems, samples, Limits(), workers=2))
    assert [found[index].passed for index in range(4)] == [True, False, True, False]

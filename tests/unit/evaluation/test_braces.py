"""Where a function ends: braces in comments, text and characters do not count."""

import pytest

from mindcode.evaluation.tasks.braces import cut_at_end

HEADS = {
    "js": "const f = (s) => {\n",
    "java": "class Solution {\n    public int f(String s) {\n",
    "go": "func F(s string) int {\n",
    "cpp": "int f(string s){\n",
    "rust": "fn f<'a>(s: &'a str) -> i32 {\n",
}
DISGUISED = {
    "js": ["// }", "/* }\n } */", 's = "}\\"}"', "s = '}'", "s = `}`", "s = s.replace(/[}/]}\"/, '')"],
    "java": ["// }", "/* } */", 's = "}\\"}";', "c = '}';", "c = '\\'';", "c = '\\u007d';"],
    "go": ["// }", "/* } */", 's = "}"', "c = '}'", "s = `\n}\n`"],
    "cpp": ["// }", "/* } */", 's = "}";', "c = '}';", "c = '\\'';"],
    "rust": ["// }", "/* } */", 's = "}";', "c = '}';", 's = r#"}"}"#;', "let t: &'a str = s;"],
}


@pytest.mark.parametrize(("language", "line"), [(name, line) for name, lines in DISGUISED.items() for line in lines])
def test_braces_in_disguise_do_not_count(language: str, line: str) -> None:
    closing = "\n    }\n}" if language == "java" else "\n}"
    body = f"    {line}\n    if (s) {{ }}{closing}"
    assert cut_at_end(language, HEADS[language], body + "\n\nint other() { }\n") == body


@pytest.mark.parametrize("language", HEADS)
def test_an_unfinished_function_ends_at_its_last_closing_brace(language: str) -> None:
    assert cut_at_end(language, HEADS[language], "  if (s) { a(); }\n  if (t) { b(") == "  if (s) { a(); }"
    assert cut_at_end(language, HEADS[language], "  return 1 +") == "  return 1 +"


def test_a_java_class_that_is_left_open_is_closed() -> None:
    method = "        return 1;\n    }"
    for rest in ("", "\n    public static void main(String[] args) {\n        f();"):
        assert cut_at_end("java", HEADS["java"], method + rest).split() == [*method.split(), "}"]

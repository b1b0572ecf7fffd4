"""One program per language that uses every library that tests use: what a machine must be able to compile and run."""

from collections.abc import Mapping

from mindcode.evaluation.types import Problem

_CPP = Problem(
    task_id="C++/known-good",
    prompt="",
    entry_point="twice",
    language="cpp",
    canonical_solution="""\
#include <boost/any.hpp>
int twice(int x) { return 2 * boost::any_cast<int>(boost::any(x)); }
""",
    test="""\
#undef NDEBUG
#include<assert.h>
#include<openssl/md5.h>
int main(){
    unsigned char digest[MD5_DIGEST_LENGTH];
    MD5((const unsigned char*)"", 0, digest);
    assert (twice(4) == 8 && digest[0] == 0xd4);
}
""",
)
_GO = Problem(
    task_id="Go/known-good",
    prompt="",
    entry_point="Twice",
    language="go",
    setup='package main\n\nimport (\n    "testing"\n    "github.com/stretchr/testify/assert"\n)\n',
    canonical_solution="func Twice(x float64) float64 { return 2 * math.Abs(x) }\n",
    test="func TestTwice(t *testing.T) {\n    assert := assert.New(t)\n    assert.Equal(8.0, Twice(4))\n}\n",
)
_JAVA = Problem(
    task_id="Java/known-good",
    prompt="import java.util.*;\n",
    entry_point="twice",
    language="java",
    canonical_solution="import java.util.*;\nclass Solution { int twice(int x) { return List.of(2).get(0) * x; } }\n",
    test="""\
public class Main {
    public static void main(String[] args) {
        if (new Solution().twice(4) != 8) {
            throw new AssertionError();
        }
    }
}
""",
)
_JAVASCRIPT = Problem(
    task_id="JavaScript/known-good",
    prompt="",
    entry_point="twice",
    language="js",
    canonical_solution="const twice = (x) => 2 * x * (require('js-md5')('').length / 32)\n",
    test="console.assert(JSON.stringify([twice(4)]) === JSON.stringify([8]))\n",
)
_RUST = Problem(
    task_id="Rust/known-good",
    prompt="",
    entry_point="twice",
    language="rust",
    canonical_solution="""\
use rand::Rng;
use regex::Regex;
fn twice(x: i32) -> i32 {
    let digits = Regex::new(r"^\\d+$").unwrap().is_match("12");
    if digits && md5::compute("").0[0] == 0xd4 { x + rand::thread_rng().gen_range(x, x + 1) } else { 0 }
}
""",
    test="""\
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_twice() {
        assert_eq!(twice(4), 8);
    }
}
""",
)
KNOWN_GOOD: Mapping[str, Problem] = {problem.language: problem for problem in (_CPP, _GO, _JAVA, _JAVASCRIPT, _RUST)}
"""By language; the canonical solution is the whole answer."""

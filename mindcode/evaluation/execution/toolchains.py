"""Whether this machine can judge a language: asked before any sample is, so that a missing tool is no wrong answer.

missing("go")  ->  None, or "Go cannot be judged here: go is not installed; install golang-go ..."
"""

import functools
from contextlib import closing

from mindcode.evaluation.execution.assembly.known_good import KNOWN_GOOD
from mindcode.evaluation.execution.assembly.program import NotBuiltError
from mindcode.evaluation.execution.languages import LANGUAGES
from mindcode.evaluation.execution.program_judge import ProgramJudge


@functools.cache
def missing(name: str) -> str | None:
    """Compile and run a known-good program; return None, or what is wrong and what to install."""
    if name not in LANGUAGES:
        return None
    try:
        with closing(ProgramJudge(name, LANGUAGES[name].limits)) as judge:
            problem = KNOWN_GOOD[name]
            verdict = judge.try_sample(problem, problem.canonical_solution)
    except NotBuiltError as error:
        reason = str(error)
    else:
        if verdict.passed:
            return None
        reason = f"a known-good program {verdict.result}"
    language = LANGUAGES[name]
    return (
        f"{language.title} cannot be judged here: {reason}; install {language.packages} (scripts/install_toolchains.sh)"
    )

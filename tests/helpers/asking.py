"""A task of a few lines, and a model that answers at once."""

import time
from collections.abc import Iterable, Iterator, Mapping

from mindcode.evaluation.tasks.task import Task
from mindcode.evaluation.types import Answer, AnswerRequest, Problem, Sampling


def tiny_problem(index: int) -> Problem:
    """Return a problem whose function adds its number to what it is given."""
    return Problem(
        task_id=f"t/{index}",
        prompt=f"def f{index}(x):\n",
        entry_point=f"f{index}",
        test=f"def check(c):\n    assert c(1) == {index + 1}\n",
        canonical_solution=f"    return x + {index}\n",
    )


TINY = Task("tiny", tuple(tiny_problem(index) for index in range(6)))


class EagerBackend:
    """Answers the right thing to even problems; else a number from the seed. The last request comes first."""

    def __init__(self, name: str = "eager", pause: float = 0.0) -> None:
        self.name, self.pause = name, pause
        self.asked: list[AnswerRequest] = []

    def identity(self) -> Mapping[str, str]:
        return {"weights": self.name, "compute_dtype": "float32"}

    def answers(self, requests: Iterable[AnswerRequest], sampling: Sampling) -> Iterator[Answer]:
        self.asked = list(requests)
        for request in reversed(self.asked):
            time.sleep(self.pause)
            index = int(request.task_id.removeprefix("t/"))
            body = f"    return x + {index}\n" if index % 2 == 0 else f"    return {request.seed}\n"
            yield Answer(request.task_id, request.sample, body, "stop" if index else "length", 9, 4)

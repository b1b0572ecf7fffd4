"""HumanEval+ and MBPP+ in miniature: rows as evalplus' releases have them, one for each way to compare answers.

Beside each row stand programs that are right and programs that are wrong.
"""

import re
from dataclasses import dataclass
from typing import Any

_MATCH = "def text_starta_endb(text):\n    return re.search('a.*?b$', text)"


@dataclass(frozen=True)
class Case:
    """A row and what answers there may be to it; the reference solution is one of the right ones."""

    row: dict[str, Any]
    right: tuple[str, ...]
    wrong: tuple[str, ...]


def _case(
    task_id: str,
    solution: str,
    inputs: list[list[Any]],
    right: tuple[str, ...] = (),
    wrong: tuple[str, ...] = (),
    atol: float = 0,
) -> Case:
    """Make a row whose first input is a base input; the others are those that evalplus added."""
    found = re.search(r"^def (\w+)", solution, flags=re.MULTILINE)
    assert found is not None
    if task_id.startswith("HumanEval"):
        prompt, separator, body = solution.partition("):\n")
        prompt += separator
    else:
        prompt, body = f'"""\nWrite {found[1]}.\n"""\n', f"\n{solution}\n"
    row = {
        "task_id": task_id,
        "prompt": prompt,
        "contract": "\n    assert True # $_CONTRACT_$\n",
        "canonical_solution": body,
        "entry_point": found[1],
        "base_input": inputs[:1],
        "plus_input": inputs[1:],
        "atol": atol,
    }
    return Case(row, right, wrong)


HUMANEVAL_PLUS = (
    _case(  # floats: 1e-6 where the file says nothing
        "HumanEval/200",
        "def halve(x):\n    return [item / 3 * 1.5 for item in x]\n",
        [[[1.0, 2.0]], [[]], [[1e308, 7]]],
        right=("def halve(x): return [item * 0.5 for item in x]",),
        wrong=(
            "def halve(x): return [item * 0.5 + 1e-3 for item in x]",
            "def halve(x): return [item * 0.5 for item in x] or [0.0]",
            "def halve(x): return tuple(item * 0.5 for item in x)",
        ),
    ),
    _case(  # the tolerance of the file, and a relative one of 1e-7
        "HumanEval/4",
        "def spread(x):\n    return sum(x) / len(x)\n",
        [[[1.0]], [[4e9]]],
        right=("def spread(x): return sum(x) / len(x) + (0.04 if x[0] < 2 else 100.0)",),
        wrong=(
            "def spread(x): return sum(x) / len(x) + 0.2",
            "def spread(x): return int(sum(x) / len(x)) + (x[0] > 2)",
        ),
        atol=0.05,
    ),
    _case(  # several zeros are right; the value of the polynomial decides
        "HumanEval/32",
        "def find_zero(xs):\n    return -xs[0] / xs[1] if len(xs) == 2 else 1.0\n",
        [[[1, 2]], [[-6, 11, -6, 1]]],
        right=("def find_zero(xs): return -0.500001 if len(xs) == 2 else 3",),
        wrong=(
            "def find_zero(xs): return 0.0",
            "def find_zero(xs): return None",
            "def find_zero(xs): return float('nan')",
        ),
        atol=0.0001,
    ),
    _case(  # sets are compared as sets
        "HumanEval/34",
        "def unique(x):\n    return set(x)\n",
        [[[3, 1, 1]], [[]], [["b", "é", "\ud800"]]],
        right=("def unique(x): return frozenset(x)",),
        wrong=("def unique(x): return list(x)", "def unique(x): return set(map(str, x))"),
    ),
    _case(  # numbers that Python does not write out, and long lists
        "HumanEval/139",
        "def power(x, y):\n    return 10 ** len(x) + y\n",
        [[[1, 2], 0.5], [list(range(20_000)), 1]],
        right=("def power(x, y):\n    x.sort()\n    return y + 10 ** len(x)",),
        wrong=("def power(x, y): return 10 ** len(x) + y + (y == 1)",),
    ),
    _case(  # what JSON has no numbers for
        "HumanEval/45",
        "def area(a, h):\n    return a * h / 2\n",
        [[5, 3], [float("inf"), 1.0], [1e400, -2.0]],
        right=("def area(a, h): return 0.5 * a * h",),
        wrong=("def area(a, h): return min(0.5 * a * h, 1e308)",),
    ),
)
MBPP_PLUS = (
    _case(  # lists that were tuples
        "Mbpp/106",
        "def add_lists(items, start):\n  return start + tuple(items)",
        [[[5, 6, 7], [9, 10]], [[], [1, 2, 3]]],
        right=("def add_lists(a, b):\n    return (*b, *a)",),
        wrong=("def add_lists(a, b):\n    return [*b, *a]",),
    ),
    _case(  # any order, any number of times
        "Mbpp/2",
        "def similar_elements(a, b):\n    return tuple(set(a) & set(b))",
        [[[3, 4, 5], [5, 4]], [[], []]],
        right=("def similar_elements(a, b):\n    return [x for x in a + a if x in b]",),
        wrong=("def similar_elements(a, b):\n    return [4]",),
    ),
    _case(  # found or not: a match, None, True and False
        "Mbpp/794",
        f"import re\n{_MATCH}",
        [["aabbbb"], ["aabAbbbc"], [""]],
        right=(
            f"import re\n{_MATCH} or None",
            f"import re\n{_MATCH} is not None",
            "def text_starta_endb(text):\n    return 'a' in text and text.endswith('b')",
            f"import re\nclass Own:\n    pass\n{_MATCH} and Own()",
        ),
        wrong=(
            "def text_starta_endb(text):\n    return 'found'",
            "def text_starta_endb(text):\n    return True",
            "def text_starta_endb(text):\n    return None",
        ),
    ),
    _case(  # whatever an answer says is right, as long as it says something
        "Mbpp/164",
        "def are_equivalent(a, b):\n    return a == b",
        [[36, 57]],
        right=("def are_equivalent(a, b):\n    return 5",),
        wrong=("def are_equivalent(a, b):\n    raise ValueError",),
    ),
    _case(
        "Mbpp/295",
        "def sum_div(n):\n    return sum(i for i in range(1, n) if n % i == 0)",
        [[8], [12]],
        right=("def sum_div(n):\n    return 0",),
        wrong=("def sum_div(n):\n    return 1",),
    ),
    _case(  # the problem does not say which height
        "Mbpp/581",
        "def surface_Area(b, s):\n    return 2 * b * s + pow(b, 2)",
        [[3, 4], [10, 7]],
        right=("def surface_Area(b, s):\n    return round(b * b + 2 * b * (b * b / 4 + s * s) ** 0.5)",),
        wrong=("def surface_Area(b, s):\n    return b * s",),
    ),
    _case(
        "Mbpp/407",
        "def digit_distance_nums(a, b):\n    return sum(map(int, str(abs(a - b))))",
        [[1, 2], [23, 56], [123, 6]],
        right=(
            "def digit_distance_nums(a, b):\n"
            "    return sum(abs(int(x) - int(y)) for x, y in zip(str(a).zfill(9), str(b).zfill(9)))",
        ),
        wrong=("def digit_distance_nums(a, b):\n    return abs(a - b)",),
    ),
    _case(  # complex numbers come as texts
        "Mbpp/124",
        "import cmath\ndef angle_complex(a, b):\n    return cmath.phase(a + b)",
        [["0", "1j"], ["2", "-3.5j"]],
        right=("import math\ndef angle_complex(a, b):\n    return math.atan2((a + b).imag, (a + b).real)",),
        wrong=("def angle_complex(a, b):\n    return 0.0",),
    ),
)

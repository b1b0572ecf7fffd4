"""A failure of the compiler in one line."""

from mindcode.dryrun.explain import explain

SPLIT = """Failure: the strategy of MatMul can not be divided: shape (100, 64), strategy (8, 1)

----------------------------------------------------
- The Traceback of Net Construct Code:
----------------------------------------------------
# 0 In file /opt/site-packages/mindspore/parallel/auto_parallel.py:752
# 1 In file /opt/site-packages/mindcode/model/llama.py:61
# 2 In file /opt/site-packages/mindcode/model/leaves.py:31
"""


def test_message_cell_and_key() -> None:
    assert explain(RuntimeError(SPLIT)) == (
        "RuntimeError: Failure: the strategy of MatMul can not be divided: shape (100, 64), strategy (8, 1) "
        "(model/leaves.py:31; see parallel_config.model_parallel, data_parallel)"
    )


def test_what_is_not_known_is_not_said() -> None:
    assert explain(ValueError("\nno idea\n")) == "ValueError: no idea"
    assert explain(ValueError()) == "ValueError: no message"

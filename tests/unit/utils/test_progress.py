"""Progress counts units and tokens, and prints plain lines where there is no terminal."""

import io

from mindcode.utils.progress import Progress


def test_the_last_state_is_shown() -> None:
    stream = io.StringIO()
    with Progress("finetune", total=2, unit="step", stream=stream) as progress:
        progress.advance(1, tokens=100, values={"loss": 2.5})
        progress.advance(1, tokens=100, values={"loss": 1.25})
        assert progress.tokens_per_second > 0
    last = stream.getvalue().split("\r")[-1]
    assert "2/2" in last and "loss=1.25" in last and "tokens/s" in last

"""What the command lines of generate and evaluate mean for the model and for the drawing of tokens."""

from pathlib import Path

import pytest

from mindcode.cli.evaluate_job import EvaluateJob, make_job, parse_arguments
from mindcode.generation.engine import longest_text
from mindcode.utils.errors import UserError

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "smollm2" / "predict_smollm2_135m.yaml"


def job(*words: str) -> EvaluateJob:
    argv = ["--config", str(CONFIG), "--load_checkpoint", "x", "--task", "humaneval", *words]
    return make_job(*parse_arguments(argv, "mindcode generate", ()), "mindcode generate")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "greedy"),
        (("--temperature", "0"), "greedy"),
        (("--temperature", "0.2", "--top_p", "0.95"), "temperature 0.2, top_p 0.95"),
        (("--sampling-params", "temperature=0.6,top_p=0.95,max_tokens=32768"), "temperature 0.6, top_p 0.95"),
        (("--temperature", "0.8", "--top_k", "40"), "temperature 0.8, top_k 40"),
        (("--model.model_config.do_sample", "True"), "temperature 1, top_k 5"),
    ],
)
def test_a_temperature_means_all_tokens_unless_top_k_is_given(words: tuple[str, ...], expected: str) -> None:
    """As in the harnesses; a YAML file that samples has MindFormers' top_k."""
    assert job(*words).sampling.described() == expected


@pytest.mark.parametrize("words", [("--max_length_generation", "300"), ("--backend_args", "max_model_len=300")])
def test_the_longest_text_is_what_was_said(words: tuple[str, ...]) -> None:
    model = job(*words).config.model.model_config
    assert model.max_new_tokens == 384
    assert longest_text(model) == 300


def test_skythoughts_backend_arguments() -> None:
    words = "tensor_parallel_size=1,revision=0dccf55,dtype=torch.float32"
    assert job("--backend_args", words).config.model.model_config.compute_dtype == "float32"
    with pytest.raises(UserError, match="--backend_args"):
        job("--backend_args", "gpu=1")

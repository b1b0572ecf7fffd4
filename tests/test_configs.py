"""Every shipped YAML loads and validates, and holds the published values."""

from dataclasses import replace
from pathlib import Path

import pytest

from mindcode.config.loader import load_config
from mindcode.config.schema import RunConfig
from mindcode.config.sizes import processes_needed, rows_per_step
from mindcode.model.stats import num_parameters

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "configs"
FILES = sorted(path for path in CONFIGS.rglob("*.yaml") if path.parent.name != "base")


def codellama(name: str) -> RunConfig:
    return load_config(CONFIGS / "codellama" / f"{name}.yaml")


def test_there_are_files() -> None:
    assert len(FILES) >= 18


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_loads_without_a_warning(path: Path, messages: list[str]) -> None:
    config = load_config(path)
    assert messages == []
    expected = {"pretrain": ("train",), "finetune": ("train", "finetune"), "predict": ("predict",)}
    assert config.run_mode in expected[path.stem.split("_")[0]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_is_in_the_readme(path: Path) -> None:
    """The README shortens names with braces; expand them before looking."""
    text = (CONFIGS / "README.md").read_text(encoding="utf-8")
    verb, model = path.stem.split("_", 1)
    sizes = "{7b,13b,70b}"
    shortened = {f"{{pretrain,finetune,predict}}_{model}", f"{verb}_codellama_{sizes}"}
    assert path.name in text or any(f"{name}.yaml" in text for name in shortened)


def test_every_base_file_is_used() -> None:
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    for base in CONFIGS.rglob("base/*.yaml"):
        assert any(f"base/{base.name}" in text for text in texts), base


@pytest.mark.parametrize(
    ("name", "degrees", "processes", "rows", "columns", "memory", "jit_level"),
    [
        ("pretrain_codellama_34b", (1, 8, 2), 16, 128, ("input_ids",), "55GB", "O2"),
        ("finetune_codellama_34b_16p", (1, 8, 2), 16, 128, ("input_ids", "labels"), "55GB", "O2"),
        ("finetune_codellama_34b_32p", (2, 4, 4), 32, 256, ("input_ids", "labels"), "56GB", "O1"),
    ],
)
def test_published_training_values_of_34b(
    name: str,
    degrees: tuple[int, int, int],
    processes: int,
    rows: int,
    columns: tuple[str, ...],
    memory: str,
    jit_level: str,
) -> None:
    config = codellama(name)
    parallel = config.parallel_config
    assert (parallel.data_parallel, parallel.model_parallel, parallel.pipeline_stage) == degrees
    assert (parallel.use_seq_parallel, parallel.micro_batch_num, parallel.vocab_emb_dp) == (True, 128, False)
    assert (processes_needed(config), rows_per_step(config)) == (processes, rows)
    assert config.train_dataset.input_columns == columns
    assert (config.context.max_device_memory, config.context.jit_level) == (memory, jit_level)
    assert (config.seed, config.runner_config.epochs, config.runner_config.batch_size) == (0, 2, 1)
    optimizer, schedule = config.optimizer, config.lr_schedule
    assert optimizer.type == "FP32StateAdamWeightDecay"
    assert (optimizer.beta1, optimizer.beta2, optimizer.eps, optimizer.weight_decay) == (0.9, 0.95, 1e-8, 0.0)
    assert (schedule.learning_rate, schedule.lr_end, schedule.warmup_ratio, schedule.total_steps) == (1e-5, 0, 0.03, -1)
    scale = config.runner_wrapper.scale_sense
    assert (scale.loss_scale_value, scale.scale_factor, scale.scale_window) == (65536, 2, 1000)
    assert (config.runner_wrapper.use_clip_grad, config.runner_wrapper.max_grad_norm) == (True, 1.0)
    assert (config.checkpoint.prefix, config.checkpoint.save_checkpoint_steps) == ("codellama_34b", 1000)
    assert config.model.model_config.layernorm_compute_type == "float32"
    assert config.model.model_config.fine_grain_interleave == 2


def test_published_prediction_values_of_34b() -> None:
    config = codellama("predict_codellama_34b")
    network = config.model.model_config
    assert processes_needed(config) == config.parallel_config.model_parallel == 4
    assert (network.use_past, network.is_dynamic, network.block_size, network.num_blocks) == (True, True, 16, 1024)
    assert (network.layernorm_compute_type, config.context.max_device_memory) == ("float16", "57GB")


@pytest.mark.parametrize(
    "name",
    ["pretrain_codellama_34b", "finetune_codellama_34b_16p", "finetune_codellama_34b_32p", "predict_codellama_34b"],
)
def test_published_network_of_34b(name: str) -> None:
    network = codellama(name).model.model_config
    assert num_parameters(network) == 33_743_970_304
    assert (network.hidden_size, network.num_layers, network.num_heads, network.n_kv_heads) == (8192, 48, 64, 8)
    assert (network.vocab_size, network.ffn_size, network.head_dim, network.seq_length) == (32000, 22016, 128, 4096)
    assert (network.theta, network.rms_norm_eps) == (1e6, 1e-5)
    assert (network.bos_token_id, network.eos_token_ids, network.pad_token_id) == (1, (2,), 0)
    formats = (network.compute_dtype, network.softmax_compute_type, network.rotary_dtype, network.param_init_type)
    assert formats == ("float16",) * 4
    assert (network.max_decode_length, network.top_k, network.top_p, network.do_sample) == (512, 3, 1, False)
    assert network.use_flash_attention and network.repetition_penalty == 1


@pytest.mark.parametrize(
    ("size", "network_sizes", "width", "parameters"),
    [
        ("7b", (4096, 32, 32, 32), 11008, 6_738_546_688),
        ("13b", (5120, 40, 40, 40), 13824, 13_016_028_160),
        ("70b", (8192, 80, 64, 8), 28672, 68_976_910_336),
    ],
)
def test_other_sizes(size: str, network_sizes: tuple[int, ...], width: int, parameters: int) -> None:
    """Parameter counts as Hugging Face shows them for codellama/CodeLlama-{7,13,70}b-hf."""
    for path in sorted((CONFIGS / "codellama").glob(f"*_{size}*.yaml")):
        network = load_config(path).model.model_config
        assert (network.hidden_size, network.num_layers, network.num_heads, network.kv_heads) == network_sizes
        assert (network.ffn_size, network.vocab_size, network.theta) == (width, 32016, 1e6)
        assert (num_parameters(network), network.max_position_embedding) == (parameters, 16384)


def test_smollm2() -> None:
    for name in ("finetune", "predict"):
        config = load_config(CONFIGS / "smollm2" / f"{name}_smollm2_135m.yaml")
        network = config.model.model_config
        assert num_parameters(network) == 134_515_008
        assert (network.theta, network.tie_word_embeddings, network.head_dim) == (1e5, True, 64)
        assert (network.bos_token_id, network.eos_token_id, network.pad_token_id) == (1, 2, 0)
        assert config.context.device_target == "CPU" and not config.use_parallel


def test_smollm2_on_two_processes_has_the_rows_of_one() -> None:
    one, two = (load_config(CONFIGS / "smollm2" / f"finetune_smollm2_135m{end}.yaml") for end in ("", "_2p"))
    assert (processes_needed(one), processes_needed(two)) == (1, 2)
    assert rows_per_step(one) == rows_per_step(two) == 4


@pytest.mark.parametrize("path", [path for path in FILES if "tiny" in path.stem], ids=lambda path: path.stem)
def test_tiny_files_fit_a_cpu_and_can_be_split(path: Path) -> None:
    assert num_parameters(load_config(path).model.model_config) < 5_000_000
    split = [("use_parallel", "true"), ("parallel_config.model_parallel", "2"), ("parallel_config.data_parallel", "2")]
    assert processes_needed(load_config(path, [*split, ("parallel_config.pipeline_stage", "1")])) == 4
    if not path.stem.startswith("predict"):
        assert processes_needed(load_config(path, [*split, ("parallel_config.pipeline_stage", "4")])) == 16


@pytest.mark.parametrize(
    ("tiny", "large"),
    [
        ("pretrain_codellama_tiny_cpu_4p", "pretrain_codellama_34b"),
        ("finetune_codellama_tiny_cpu_4p", "finetune_codellama_34b_16p"),
        ("pretrain_codellama_tiny_cpu_8p", "finetune_codellama_34b_32p"),
        ("finetune_codellama_tiny_cpu_8p", "finetune_codellama_34b_32p"),
    ],
)
def test_tiny_files_have_the_parallel_shape_of_34b(tiny: str, large: str) -> None:
    """The same things are split and switched on; only how many ways, and the number of micro-batches, are smaller."""
    small, big = codellama(tiny), codellama(large)
    assert processes_needed(small) * 4 == processes_needed(big)
    assert (small.use_parallel, small.micro_batch_interleave_num) == (big.use_parallel, big.micro_batch_interleave_num)
    assert (small.parallel, small.recompute_config) == (big.parallel, big.recompute_config)
    degrees, theirs = small.parallel_config, big.parallel_config
    same = {name: getattr(theirs, name) for name in ("data_parallel", "use_seq_parallel", "vocab_emb_dp")}
    assert replace(degrees, **same) == degrees
    for name in ("model_parallel", "pipeline_stage", "micro_batch_num"):
        assert 1 < getattr(degrees, name) <= getattr(theirs, name)
    assert degrees.micro_batch_num >= 2 * degrees.pipeline_stage
    assert (degrees.gradient_aggregation_group, degrees.context_parallel) == (
        theirs.gradient_aggregation_group,
        theirs.context_parallel,
    )
    assert small.runner_config.batch_size == big.runner_config.batch_size
    assert small.runner_wrapper == big.runner_wrapper


@pytest.mark.parametrize("recipe", ["pretrain", "finetune"])
def test_four_processes_train_on_the_batch_of_one(recipe: str) -> None:
    """The same rows a step from the same weights: the loss curves of the two files can be laid over each other."""
    assert rows_per_step(codellama(f"{recipe}_codellama_tiny_cpu_4p")) == rows_per_step(
        codellama(f"{recipe}_codellama_tiny_cpu")
    )

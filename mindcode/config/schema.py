"""Every key a YAML file may have, as frozen dataclasses in MindFormers' key names.

The string under a field is its documentation: docs/config.md is generated from it. Fields are plain
values; everything that relates one to another is in validate.py. The network's sizes are in model_schema.py.
"""

from dataclasses import dataclass, field

from mindcode.config.harness import HarnessConfig
from mindcode.config.model_schema import ModelConfig


@dataclass(frozen=True)
class ArchConfig:
    """model.arch: which network."""

    type: str = "LlamaForCausalLM"
    """Always LlamaForCausalLM."""


@dataclass(frozen=True)
class ModelSection:
    """model: sizes and architecture."""

    model_config: ModelConfig = field(default_factory=ModelConfig)
    """Sizes, formats, generation defaults."""
    arch: ArchConfig = field(default_factory=ArchConfig)
    """The network's class."""


@dataclass(frozen=True)
class TokenizerConfig:
    """processor.tokenizer: the files that turn text into ids."""

    type: str = "LlamaTokenizer"
    """LlamaTokenizer (sentencepiece) or LlamaTokenizerFast (tokenizer.json); the file decides."""
    vocab_file: str = ""
    """A tokenizer.model, a tokenizer.json, or the folder of either."""


@dataclass(frozen=True)
class ProcessorConfig:
    """processor: text in and out."""

    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    """The tokenizer's files."""


@dataclass(frozen=True)
class TrainerConfig:
    """trainer: a name for the run."""

    type: str = "CausalLanguageModelingTrainer"
    """Always CausalLanguageModelingTrainer."""
    model_name: str = "codellama_34b"
    """Shown in logs and reports."""


@dataclass(frozen=True)
class RunnerConfig:
    """runner_config: how long, and how much at once."""

    epochs: int = 2
    """Passes over the training rows."""
    batch_size: int = 1
    """Rows in one micro-batch on one data-parallel rank."""
    gradient_accumulation_steps: int = 1
    """Micro-batches in one optimizer step (without pipeline stages)."""
    max_steps: int = -1
    """Optimizer steps after which training ends; -1 leaves it to epochs."""
    sink_mode: bool = True
    """Kept for MindFormers' files; the loop here always runs step by step on the host."""
    sink_size: int = 1
    """Steps between two log lines."""


@dataclass(frozen=True)
class OptimizerConfig:
    """optimizer: AdamW with fp32 state."""

    type: str = "AdamW"
    """AdamW (bias correction) or FP32StateAdamWeightDecay (MindFormers': none)."""
    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.95
    """Decay of the second moment."""
    eps: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.0
    """Decoupled decay of matrices; vectors are never decayed."""
    learning_rate: float | None = None
    """Peak rate; null takes lr_schedule.learning_rate."""


@dataclass(frozen=True)
class LRScheduleConfig:
    """lr_schedule: warm-up, then a curve."""

    type: str = "CosineWithWarmUpLR"
    """CosineWithWarmUpLR, LinearWithWarmUpLR or ConstantWarmUpLR."""
    learning_rate: float = 1e-5
    """Rate after the warm-up."""
    lr_end: float = 0.0
    """Rate at the end."""
    warmup_lr_init: float = 0.0
    """Rate of step 0."""
    warmup_ratio: float | None = None
    """Share of all steps that warms up; null takes warmup_steps."""
    warmup_steps: int = 0
    """Steps that warm up."""
    total_steps: int = -1
    """Length of the curve; -1 means all steps of the run."""


@dataclass(frozen=True)
class ScaleSenseConfig:
    """runner_wrapper.scale_sense: the loss scale for float16."""

    type: str = "DynamicLossScaleUpdateCell"
    """DynamicLossScaleUpdateCell or FixedLossScaleUpdateCell."""
    loss_scale_value: float = 65536.0
    """Initial (or fixed) scale."""
    scale_factor: int = 2
    """The scale is divided by this on overflow and multiplied by it after scale_window clean steps."""
    scale_window: int = 1000
    """Clean steps before the scale grows."""


@dataclass(frozen=True)
class RunnerWrapperConfig:
    """runner_wrapper: what happens to gradients before the optimizer."""

    type: str = "MFTrainOneStepCell"
    """Always MFTrainOneStepCell."""
    use_clip_grad: bool = True
    """Clip the global norm of the gradients."""
    max_grad_norm: float = 1.0
    """The norm to clip to."""
    scale_sense: ScaleSenseConfig = field(default_factory=ScaleSenseConfig)
    """Loss scale."""


@dataclass(frozen=True)
class DataLoaderConfig:
    """data_loader: where rows come from."""

    type: str = "MindDataset"
    """Always MindDataset: MindRecord files."""
    dataset_dir: str = ""
    """A MindRecord file or a folder of them (--train_dataset_dir sets it)."""
    shuffle: bool = True
    """A new order for each epoch, from the seed."""


@dataclass(frozen=True)
class DatasetConfig:
    """train_dataset, eval_dataset: which rows, and what of them."""

    data_loader: DataLoaderConfig = field(default_factory=DataLoaderConfig)
    """Files and order."""
    input_columns: tuple[str, ...] = ("input_ids",)
    """input_ids, and labels where the loss is masked."""
    drop_remainder: bool = True
    """Leave out the last, incomplete batch."""
    num_samples: int | None = None
    """Use only this many rows."""


@dataclass(frozen=True)
class ParallelOptimizerConfig:
    """parallel.parallel_optimizer_config: sharding of the optimizer state."""

    gradient_accumulation_shard: bool = False
    """Shard the accumulation buffer too."""
    parallel_optimizer_threshold: int = 64
    """Smallest parameter, in KB, that is sharded."""


@dataclass(frozen=True)
class ParallelContextConfig:
    """parallel: how MindSpore parallelises."""

    parallel_mode: int = 1
    """0 data or 1 semi-auto (also by MindFormers' names: data_parallel, semi_auto_parallel)."""
    gradients_mean: bool = False
    """Average instead of sum in the gradient all-reduce."""
    full_batch: bool = True
    """Kept for MindFormers' files; who reads which rows depends on the device, see docs/parallelism.md."""
    enable_parallel_optimizer: bool = True
    """Shard the optimizer state over the data-parallel ranks."""
    strategy_ckpt_save_file: str = "./ckpt_strategy.ckpt"
    """Kept for MindFormers' files."""
    parallel_optimizer_config: ParallelOptimizerConfig = field(default_factory=ParallelOptimizerConfig)
    """Details of the sharding."""


@dataclass(frozen=True)
class ParallelConfig:
    """parallel_config: degrees."""

    data_parallel: int = 1
    """Copies of the model that share the batch."""
    model_parallel: int = 1
    """Pieces that every layer is split into."""
    pipeline_stage: int = 1
    """Groups of consecutive layers."""
    context_parallel: int = 1
    """Pieces of the sequence in attention (not built here: must be 1)."""
    use_seq_parallel: bool = False
    """Norms and residuals on slices of the sequence."""
    micro_batch_num: int = 1
    """Micro-batches of one pipeline step."""
    vocab_emb_dp: bool = True
    """Kept for MindFormers' files; the embedding table is split by vocabulary whenever model_parallel is above 1."""
    gradient_aggregation_group: int = 4
    """Groups in which gradients are communicated."""


@dataclass(frozen=True)
class RecomputeConfig:
    """recompute_config: activations computed again in the backward pass."""

    recompute: bool | tuple[int, ...] = False
    """All layers, or the number of layers for each stage."""
    select_recompute: bool | tuple[int, ...] = False
    """Only norms and, with mp_comm_recompute, the gathering of their results."""
    parallel_optimizer_comm_recompute: bool = False
    """Gather sharded weights again."""
    mp_comm_recompute: bool = True
    """Run tensor-parallel collectives again."""
    recompute_slice_activation: bool = True
    """Keep the saved activations sliced."""


@dataclass(frozen=True)
class CheckpointConfig:
    """callbacks, CheckpointMonitor: when a checkpoint is written and how many are kept."""

    prefix: str = "CKP"
    """First part of the file name."""
    save_checkpoint_steps: int = 1000
    """Steps between two checkpoints; one more is written at the end."""
    keep_checkpoint_max: int = 5
    """Checkpoints kept; the oldest goes first, after the new one is safe."""
    integrated_save: bool = False
    """Kept for MindFormers' files; every rank saves its own part."""
    async_save: bool = False
    """Write in the background."""


@dataclass(frozen=True)
class ContextConfig:
    """context: device and graph compiler."""

    mode: int = 0
    """0 graph, the only mode used here."""
    device_target: str = "Ascend"
    """Ascend or CPU."""
    device_id: int = 0
    """Which NPU, without msrun."""
    max_call_depth: int = 10000
    """Depth of the graph compiler's stack."""
    max_device_memory: str = "55GB"
    """Memory MindSpore may use on one NPU."""
    save_graphs: bool | int = False
    """Dump the compiled graphs."""
    save_graphs_path: str = "./graph"
    """Where to."""
    jit_level: str = "O1"
    """Graph compiler level (context.jit_config.jit_level): O0, O1 or O2."""
    peak_tflops: float | None = None
    """Peak of one process' device in TFLOP/s, for MFU; null measures it on a CPU, and leaves MFU out on Ascend."""


@dataclass(frozen=True)
class RunConfig:
    """The whole file."""

    seed: int = 0
    """Seed of weights, row order and sampling."""
    output_dir: str = "./output"
    """Folder of everything a run writes."""
    load_checkpoint: str = ""
    """A .ckpt file, or a checkpoint folder."""
    auto_trans_ckpt: bool = False
    """Reshard the checkpoint to this run's split while loading."""
    only_save_strategy: bool = False
    """Compile, write the strategy, stop."""
    resume_training: bool | str = False
    """Continue from the newest complete checkpoint, or from the one named."""
    run_mode: str = "train"
    """train, finetune, eval or predict."""
    engine: str = "mindcode"
    """Who trains: mindcode, or mindformers (its Trainer, with the same file; needs the mindformers extra)."""
    use_parallel: bool = False
    """Run under msrun with the degrees of parallel_config."""
    do_eval: bool = False
    """Measure the loss on eval_dataset during training."""
    eval_step_interval: int = -1
    """Steps between two measurements; -1 means none by step."""
    eval_epoch_interval: int = 50
    """Epochs between two measurements."""
    micro_batch_interleave_num: int = 1
    """Interleaved copies of each micro-batch (Ascend)."""
    tensorboard: bool = False
    """Also write the curves for TensorBoard, to output_dir/tensorboard (needs the tensorboard extra)."""
    predict_batch_size: int | None = None
    """Prompts decoded at once; null means model_config.batch_size."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Name of the run."""
    runner_config: RunnerConfig = field(default_factory=RunnerConfig)
    """Epochs and batch size."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """Optimizer."""
    lr_schedule: LRScheduleConfig = field(default_factory=LRScheduleConfig)
    """Learning rate."""
    runner_wrapper: RunnerWrapperConfig = field(default_factory=RunnerWrapperConfig)
    """Clipping and loss scale."""
    train_dataset: DatasetConfig = field(default_factory=DatasetConfig)
    """Training rows."""
    eval_dataset: DatasetConfig = field(default_factory=DatasetConfig)
    """Evaluation rows."""
    parallel: ParallelContextConfig = field(default_factory=ParallelContextConfig)
    """Parallel mode."""
    parallel_config: ParallelConfig = field(default_factory=ParallelConfig)
    """Parallel degrees."""
    recompute_config: RecomputeConfig = field(default_factory=RecomputeConfig)
    """Recomputation."""
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    """Filled from the CheckpointMonitor entry of `callbacks`."""
    context: ContextConfig = field(default_factory=ContextConfig)
    """Device."""
    model: ModelSection = field(default_factory=ModelSection)
    """Network."""
    processor: ProcessorConfig = field(default_factory=ProcessorConfig)
    """Tokenizer."""
    bigcode_eval_harness: tuple[HarnessConfig, ...] = ()
    """Filled from the BigCodeEvalHarness entries of `callbacks`."""

    @property
    def is_training(self) -> bool:
        """Whether weights are updated."""
        return self.run_mode in ("train", "finetune")

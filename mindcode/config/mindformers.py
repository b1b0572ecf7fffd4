"""What MindFormers' YAML files say differently, as tables: keys that moved, that mean nothing here, that must stay off.

Written for the files of MindFormers 1.2 to 1.5. Nothing here knows a dataclass; loader.py checks what is left.
"""

from fnmatch import fnmatchcase

from mindcode.config.document import Entry, find, move, nested, overlay, walk, without
from mindcode.utils.errors import UserError

MOVED = {
    "callbacks.CheckpointMonitor": "checkpoint",
    "callbacks.CheckpointMointor": "checkpoint",  # so misspelt in many files of theirs
    "context.jit_config.jit_level": "context.jit_level",
    "train_dataset.data_loader.num_samples": "train_dataset.num_samples",
    "eval_dataset.data_loader.num_samples": "eval_dataset.num_samples",
    "model.model_config.scaling_factor.original_max_position_embeddings": (
        "model.model_config.scaling_factor.original_max_position_embedding"
    ),
}
"""Their place -> the place in schema.py. `callbacks`, a list, is seen as a mapping by `type`."""

HARNESS = "BigCodeEvalHarness"
"""The callback that a file may have several of; they become the list `bigcode_eval_harness`."""

SYNONYMS = {
    "parallel.parallel_mode": {
        "data_parallel": "0",
        "semi_auto_parallel": "1",
        "auto_parallel": "2",
        "hybrid_parallel": "3",
    },
    "context.mode": {"GRAPH_MODE": "0", "PYNATIVE_MODE": "1"},
}
"""Names that may stand for numbers."""

IGNORED = {
    "rows are read through a memory map, without workers": (
        "*_dataset.num_parallel_workers",
        "*_dataset.python_multiprocessing",
        "*_dataset.numa_enable",
        "*_dataset.prefetch_size",
        "*_dataset.autotune",
        "*_dataset.filepath_prefix",
        "*_dataset.autotune_per_step",
        "*_dataset.profile",
        "auto_tune",
        "filepath_prefix",
        "autotune_per_step",
    ),
    "taken from runner_config and the seed": ("*_dataset.batch_size", "*_dataset.seed", "*_dataset_task"),
    "one kind of trainer, progress line and evaluation": (
        "callbacks.*",
        "eval_callbacks",
        "runner_wrapper.enable_check_overflow",
        "metric",
        "processor.type",
        "processor.return_tensors",
    ),
    "the tokenizer's own files say it": ("processor.tokenizer.*_token", "processor.tokenizer.add_*_token"),
    "Cerebras' data loader; files are always written; the tokenizer says its end": (
        "bigcode_eval_harness*.data_dir",
        "bigcode_eval_harness*.keep_data_dir",
        "bigcode_eval_harness*.hf_cache_dir",
        "bigcode_eval_harness*.shuffle",
        "bigcode_eval_harness*.num_workers",
        "bigcode_eval_harness*.flags",
        "bigcode_eval_harness*.eos_id",
        "bigcode_eval_harness*.pretrained_model_name_or_path",
        "bigcode_eval_harness*.bigcode_args.eos",
        "bigcode_eval_harness*.bigcode_args.do_sample",
        "bigcode_eval_harness*.bigcode_args.postprocess",
        "bigcode_eval_harness*.bigcode_args.generation_only",
        "bigcode_eval_harness*.bigcode_args.save_*",
        "bigcode_eval_harness*.bigcode_args.metric_output_path",
        "bigcode_eval_harness*.bigcode_args.load_generations_intermediate_paths",
    ),
    "profiling": ("profile*", "init_start_profile", "monitor_config", "print_separate_loss"),
    "vision models and a cloud service": (
        "layer_scale",
        "layer_decay",
        "lr_scale_factor",
        "remote_save_url",
        "device_num",
    ),
    "checkpoints are loaded, resharded and named in one way": (
        "src_strategy_path_or_dir",
        "transform_process_num",
        "load_ckpt_*",
        "remove_redundancy",
        "ignore_data_skip",
        "data_skip_steps",
        "checkpoint.save_checkpoint_seconds",
        "checkpoint.keep_checkpoint_per_n_minutes",
        "checkpoint.save_network_params",
        "checkpoint.save_trainable_params",
        "checkpoint.exception_save",
        "checkpoint.checkpoint_format",
        "checkpoint.remove_redundancy",
        "checkpoint.enc_mode",
        "checkpoint.append_info",
        "checkpoint.global_batch_size",
    ),
    "searching for a split": (
        "parallel.search_mode",
        "parallel.auto_parallel_search_mode",
        "parallel.enable_alltoall",
        "parallel.dataset_strategy",
        "parallel.loss_repeated_mean",
        "parallel_config.mem_coeff",
        "parallel_config.optimizer_shard",
        "parallel_config.context_parallel_algo",
        "recompute_config.select_comm_recompute",
    ),
    "mixture of experts": ("moe_config",),
    "tuning of one compiler version": (
        "context.jit_config",
        "context.enable_graph_kernel",
        "context.graph_kernel_flags",
        "context.memory_optimize_level",
        "context.memory_offload",
        "context.ascend_config",
        "context.runtime_num_threads",
        "context.affinity_cpu_list",
        "context.enable_compile_cache",
        "context.compile_cache_path",
        "context.print_file_path",
        "context.op_timeout",
        "context.deterministic",
        "infer",
        "use_legacy",
        "model.model_config.use_rope_slice",
        "model.model_config.use_ring_attention",
        "model.model_config.use_attn_mask_compression",
        "model.model_config.parallel_optimizer",
        "model.model_config.fused_rms_norm",
        "model.model_config.rmsnorm_compute_2d",
        "model.model_config.llm_backend",
        "model.model_config.chunk_prefill",
        "model.model_config.return_hidden_states",
        "model.model_config.input_sliced_sig",
    ),
}
"""Why a key has no meaning here -> patterns of dotted keys; a whole section may match."""

OFF = {
    "*_dataset.repeat": "1",
    "parallel_config.expert_parallel": "1",
    "parallel_config.ulysses_degree_in_cp": "1",
    "parallel_config.seq_split_num": "1",
    "moe_config.expert_num": "1",
    "model.model_config.pp_interleave_num": "1",
    "model.model_config.qkv_concat": "false",
    "model.model_config.attn_proj_has_bias": "false",
    "model.model_config.use_eod_attn_mask_compression": "false",
    "model.model_config.calculate_per_token_loss": "false",
    "model.model_config.residual_dtype": "null",
    "model.model_config.pet_config": "null",
    "model.model_config.quant_config": "null",
    "model.model_config.parallel_decoding_params": "null",
    "checkpoint.directory": "null",
    "bigcode_eval_harness*.bigcode_args.load_generations_path": "null",
    "bigcode_eval_harness*.bigcode_args.check_references": "false",
    "checkpoint.enc_key": "null",
}
"""Keys of features that are not built here -> the value that leaves the feature off; any other value is refused."""


def adapt(layer: Entry) -> Entry:
    """Return one file's or one flag's tree with MindFormers' places and names replaced by those of schema.py."""
    layer = _scalar_loss_scale(_callbacks_by_type(layer))
    for source, target in MOVED.items():
        layer = move(layer, source, target)
    for key, names in SYNONYMS.items():
        entry = find(layer, key)
        if entry is not None and isinstance(entry.value, str) and entry.value in names:
            layer = overlay(layer, nested(key, Entry(names[entry.value], entry.where)))
    return layer


def drop_meaningless(tree: Entry) -> tuple[Entry, list[str]]:
    """Return the tree without the keys of IGNORED and OFF, and the list of those that were there.

    Raises UserError for a feature of OFF that is switched on.
    """
    for key, entry in walk(tree):
        for pattern, off in OFF.items():
            if fnmatchcase(key, pattern) and str(entry.value or "null").lower() != off:
                raise UserError(f"{entry.place(key)}: not supported here; remove the key or set it to {off}")
    dropped: list[str] = []
    patterns = [*OFF, *(pattern for group in IGNORED.values() for pattern in group)]
    for key, _ in walk(tree):
        inside_dropped = any(key.startswith(f"{section}.") for section in dropped)
        if not inside_dropped and any(fnmatchcase(key, pattern) for pattern in patterns):
            dropped.append(key)
    for key in dropped:
        tree = without(tree, key)
    return tree, dropped


def _callbacks_by_type(layer: Entry) -> Entry:
    callbacks = find(layer, "callbacks")
    if callbacks is None or isinstance(callbacks.value, dict):
        return layer
    by_type: dict[str, Entry] = {}
    harnesses: list[Entry] = []
    for item in callbacks.value if isinstance(callbacks.value, list) else []:
        item = _typed(item)
        kind = find(item, "type")
        if not isinstance(item.value, dict) or kind is None or not isinstance(kind.value, str):
            raise UserError(f"{item.where}: callbacks: each item needs a type, for example `- type: CheckpointMonitor`")
        settings = {name: entry for name, entry in item.value.items() if name != "type"}
        if kind.value == HARNESS:
            harnesses.append(Entry(settings, item.where))
        else:
            by_type[kind.value] = Entry(settings, item.where)
    layer = without(layer, "callbacks")
    if harnesses:
        layer = overlay(layer, nested("bigcode_eval_harness", Entry(list(harnesses), callbacks.where)))
    return overlay(layer, nested("callbacks", Entry(dict(by_type), callbacks.where))) if by_type else layer


def _typed(item: Entry) -> Entry:
    """Cerebras' items, `- Type: {settings}`, as MindFormers': `- type: Type` and the settings."""
    if not isinstance(item.value, dict) or len(item.value) != 1:
        return item
    name, settings = next(iter(item.value.items()))
    if not isinstance(settings.value, dict):
        return item
    return overlay(settings, nested("type", Entry(name, item.where)))


def _scalar_loss_scale(layer: Entry) -> Entry:
    """`scale_sense: 1.0` is MindFormers' short form of a fixed scale."""
    entry = find(layer, "runner_wrapper.scale_sense")
    if entry is None or not isinstance(entry.value, str):
        return layer
    fixed = {"type": Entry("FixedLossScaleUpdateCell", entry.where), "loss_scale_value": entry}
    return overlay(layer, nested("runner_wrapper.scale_sense", Entry(dict(fixed), entry.where)))

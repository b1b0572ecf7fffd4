"""mindcode train: pretrain or finetune from a YAML file, or measure the loss on evaluation rows.

mindcode train --config configs/codellama/pretrain_codellama_tiny_cpu.yaml --train_dataset_dir wiki.mindrecord
mindcode train --config X.yaml --load_checkpoint model.ckpt --run_mode finetune --train_dataset_dir code.mindrecord

Run the same command again after an interruption: it continues from the newest checkpoint.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mindcode.cli.flags import RunFlags, parse_run_flags
from mindcode.config.loader import load_config, read_tree
from mindcode.config.schema import RunConfig
from mindcode.config.validate import check_inputs
from mindcode.utils.errors import UserError
from mindcode.utils.log import get_logger, log_to_file

if TYPE_CHECKING:
    from mindcode.cli.harness_benchmarks import Benchmark
    from mindcode.parallel.processes import Processes


def main(argv: list[str]) -> int:
    """Read the configuration and do what its run_mode says."""
    flags = parse_run_flags(argv, "mindcode train")
    config = load_config(flags.config, flags.overrides)
    if config.run_mode == "predict":
        raise UserError("run_mode: predict, but this command trains; use mindcode predict, or train, finetune or eval")
    if config.engine == "mindformers":
        from mindcode.neighbours import mindformers

        check_inputs(config)
        mindformers.train(config, read_tree(flags.config, flags.overrides))
        return 0
    if config.only_save_strategy:
        from mindcode.training.strategies import save_strategies

        print(f"wrote {save_strategies(config)}")
        return 0
    check_inputs(config)

    from mindcode.parallel.processes import join_processes
    from mindcode.runtime.context import set_context
    from mindcode.runtime.distributed import start_processes
    from mindcode.runtime.seed import seed_all

    set_context(config.context)
    world = start_processes()
    log_to_file(Path(config.output_dir) / "log" / f"rank_{world.rank}" / "info.log")
    seed_all(config.seed)
    if config.run_mode == "eval":
        evaluate(config, join_processes(config, world))
        return 0
    train(config, join_processes(config, world), _asked(config, flags))
    return 0


def _asked(config: RunConfig, flags: RunFlags) -> "Sequence[Benchmark]":
    """Return the benchmarks of the callbacks."""
    if not config.bigcode_eval_harness:
        return ()
    from mindcode.cli.harness_benchmarks import benchmarks

    return benchmarks(config, flags.config, flags.overrides)


def train(config: RunConfig, processes: "Processes", asked: "Sequence[Benchmark]") -> None:
    """Data, network, weights or the state of an earlier start, and the loop, with the benchmarks that are `asked`."""
    from mindcode.checkpoint.sidecar import copy_tokenizer
    from mindcode.data.mindrecord import MindRecordReader
    from mindcode.parallel.agreement import Agreement
    from mindcode.training import assemble, interpreters, manifest, metrics, resume, snapshot, trainer

    output_dir, agreement = Path(config.output_dir), Agreement(processes.everyone)
    reader = MindRecordReader(Path(config.train_dataset.data_loader.dataset_dir))
    rows = assemble.row_loader(config, processes, config.train_dataset, reader)
    total_steps = assemble.run_length(config, rows).total_steps

    store = assemble.checkpoint_store(config, processes)
    weights = agreement.path(lambda: resume.starting_weights(config))
    description = manifest.describe(config, reader.files, weights)
    found = agreement.path(lambda: resume.checkpoint_to_continue(config, store, description))
    checkpoint = resume.open_in_split(found, config) if found else None
    finished_steps = snapshot.finished_steps(checkpoint) if checkpoint else 0
    if finished_steps >= total_steps and not agreement.anyone(_lacks_scores(asked, total_steps, output_dir)):
        get_logger().info("already finished: %d steps, %s", finished_steps, found)
        return
    if processes.is_first:
        store.remove_leftovers()
        metrics.drop_rows_after(output_dir, finished_steps)

    share = interpreters.training_share(config, processes)
    run = assemble.training_run(config, processes, share, rows, store, agreement)
    if asked:
        from mindcode.cli.train_harness import TrainingHarness

        companion = TrainingHarness(config, processes, asked, run.length, run.log)
        companion.begin(finished_steps)
        run = dataclasses.replace(run, companion=companion)
    state = assemble.first_state(config)
    if checkpoint:
        state = snapshot.load_run(checkpoint, run.everything, run.layout, state, run.rows_per_step)
        run.optimizer.refresh()
        get_logger().info("continuing after step %d of %d, from %s", state.step, total_steps, found)
    elif weights:
        snapshot.load_weights(resume.open_in_split(weights, config), run.parameters, run.layout)
        run.optimizer.refresh_copies()
    else:
        share.draw_weights()
    if processes.is_first:
        manifest.write(output_dir, description | manifest.yardstick(run.meter.peak_flops))
        copy_tokenizer(_tokenizer_folders(config, weights), output_dir, config.model.model_config.vocab_size)
    trainer.fit(run, state)


def _lacks_scores(asked: "Sequence[Benchmark]", step: int, output_dir: Path) -> bool:
    """Whether a finished run still owes answers or scores."""
    from mindcode.training.metrics import recorded_scores

    recorded = recorded_scores(output_dir) if asked else set()
    return any(benchmark.lacks(step, recorded) for benchmark in asked)


def _tokenizer_folders(config: RunConfig, weights: Path | None) -> list[Path]:
    """Where the tokenizer may lie that the run's own weights will need."""
    from mindcode.checkpoint.sidecar import tokenizer_folders

    named = Path(config.processor.tokenizer.vocab_file)
    return [*([named.parent] if named.is_file() else []), *(tokenizer_folders(weights) if weights else [])]


def evaluate(config: RunConfig, processes: "Processes") -> None:
    """Network, weights, and the loss on eval_dataset."""
    import math

    from mindcode.parallel.agreement import Agreement
    from mindcode.training import assemble, network, resume, snapshot

    model = network.loss_network(config, processes)
    if weights := Agreement(processes.everyone).path(lambda: resume.weights_file(config)):
        parameters, checkpoint = model.trainable_params(), resume.open_in_split(weights, config)
        snapshot.load_weights(checkpoint, parameters, network.layout_of(processes, parameters))
    loss = assemble.evaluator(config, processes, network.evaluation_loss(config, processes, model)).loss()
    if processes.is_first:
        print(f"eval_loss: {loss:.6f}, perplexity: {math.exp(loss):.4f}")

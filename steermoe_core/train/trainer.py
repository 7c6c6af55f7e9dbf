"""The training step: transformers' `Trainer` with parameter groups, token-weighted loss, small checkpoints.

[Training](../../docs/explanation/training.md) says why each private method of `Trainer` is overridden;
`tests/train/test_upstream.py` fails when transformers changes one of them.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments

from steermoe_core.data.batches import Share, Turns
from steermoe_core.data.worker_errors import WorkerCollate
from steermoe_core.model.compiled import check_compiler, compiled
from steermoe_core.train import ranks
from steermoe_core.train.callbacks import Callback, Finite, GroupClip, JournalWriter, LastStep
from steermoe_core.train.checkpoint import (
    OPTIMIZER,
    SCHEDULER,
    STATE,
    TOTAL,
    TRAINED,
    load_loss,
    load_trained,
    prune,
    restoring,
    save_loss,
    save_trained,
    shared_checkpoint,
)
from steermoe_core.train.deepspeed import ds_config
from steermoe_core.train.epochs import epochs_over, steps_of
from steermoe_core.train.groups import optimizer_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined
    from steermoe_core.train.journal import Journal


class SteeringTrainer(Trainer):
    """Trains the trainable tensors of a joined model.

    :param folder: where checkpoints go, as ``step-<n>``.
    :param examples: the training examples; their order is a pure function of the seed and the step.
    :param collate: turns examples into a batch.
    :param weights: share of each training source in an epoch; empty: every example once.
    :param costs: of each example, if batches have a budget; empty: its seconds.
    """

    optimizer: Any  # once training has begun: accelerate's wrapper
    lr_scheduler: Any

    def __init__(
        self,
        model: Joined,
        config: TrainConfig,
        seed: int,
        folder: Path,
        examples: Sequence[Example],
        collate: Callable[[list[Example]], Batch],
        journal: Journal,
        callbacks: Sequence[Callback],
        weights: Sequence[float] = (),
        costs: Sequence[float] = (),
    ) -> None:
        self.config = config
        self.joined = model
        self.folder = folder
        self.examples = examples
        self.epochs = epochs_over(examples, config, seed, ranks.world(), costs=costs, weights=weights)
        self.collate = collate
        model.encoder.recompute = "encoder" in config.recompute
        model.decoder.recompute = "decoder" in config.recompute
        model.encoder.packing = "encoder" in config.packing
        model.decoder.packing = "decoder" in config.packing
        model.encoder.fuse = model.decoder.fuse = compiled if config.compile else None
        self.finite = Finite()
        self.clip = GroupClip(config.clip_of, self.finite)
        own: list[Any] = [self.clip, JournalWriter(self.clip), LastStep(), *callbacks]
        for callback in own:
            callback.journal, callback.joined = journal, model
        journal.watchers = [callback.on_record for callback in own]
        collator: Any = collate  # the parent expects dicts; a batch is a record here
        super().__init__(
            model=model, args=arguments(config, seed, folder), data_collator=collator, callbacks=own
        )
        if config.compile:
            check_compiler(self.args.device)
        self.pop_callback(PrinterCallback)
        self._unlogged: dict[str, Any] = {}  # losses since the last logged step, and TOTAL
        self._logged_step = 0

    # One optimizer step: `accumulation` batches forward and backward, clip, step.

    def get_batch_samples(  # type: ignore[override] # the mean of the answer tokens may be a fraction
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], float]:
        """Return the batches of one step, and the step's answer tokens: the mean over processes.

        DistributedDataParallel and DeepSpeed average gradients over processes, so that the sum of the losses
        divided by this mean is the loss per answer token of the whole step.
        """
        batches = list(islice(epoch_iterator, num_batches))
        tokens = int(sum(batch.answer.host_lengths.sum() for batch in batches))  # lengths (B,)
        return batches, ranks.total(tokens) / ranks.world()

    def training_step(  # type: ignore[override] # a batch is a record
        self, model: Any, inputs: Batch, num_items_in_batch: float | None = None
    ) -> torch.Tensor:
        """Run one batch forward and backward, and return its share of the step's loss."""
        model.train()  # frozen parts stay in eval mode
        language_model = self.state.global_step >= self.joined.projector.start_steps
        loss: torch.Tensor = model(  # (): sum over the answer tokens / answer tokens of the step
            inputs.to(self.args.device), num_items_in_batch, language_model=language_model
        )
        self.finite.add(loss.detach(), partial(_diverged, self.state.global_step + 1, inputs.ids))
        self.backward(loss)
        for name, value in {TOTAL: loss.detach(), **self.joined.losses}.items():
            self._unlogged[name] = self._unlogged.get(name, 0.0) + value  # on the device: no wait for it
        return loss.detach()

    def backward(self, loss: torch.Tensor) -> None:
        """Add the gradients of a loss.

        After the last batch of a step the parent calls `GroupClip`, then the optimizer.
        """
        self.accelerator.backward(loss)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> None:
        """Leave the gradients alone: GroupClip measures each group, the parent would use one norm for all."""

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return AdamW over the parameter groups; the parent multiplies their rates by the schedule."""
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(optimizer_groups(self.joined, self.config))
        optimizer: torch.optim.Optimizer = self.optimizer
        return optimizer

    # Data.

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return this process's batches of the whole run as one epoch, so that a resume only skips."""
        return self.batches(ranks.rank(), ranks.world())

    def batches(self, rank: int, world: int) -> DataLoader[Any]:
        """Return the batches of one process; all batches of the run if `world` is 1."""
        batches = steps_of(self.config) * self.config.accumulation * ranks.world()
        return DataLoader(
            Turns(self.examples),
            batch_sampler=Share(self.epochs, batches, rank, world),
            collate_fn=WorkerCollate(self.collate),
            num_workers=ranks.loading_processes(self.config.workers, self.args.device),
            pin_memory=self.args.device.type == "cuda",  # copies to the GPU do not wait
        )

    def example_numbers(self) -> set[int]:
        """Return the indices into `examples` of those that the run trains on, in all its processes."""
        sampler: Any = self.batches(0, 1).batch_sampler
        return {number % len(self.examples) for batch in sampler for number in batch}

    # Log.

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Log the loss, and those by name, as means over processes and the steps since the last logged one.

        The parent's own sum starts at zero after a resume; this one continues.

        :raises DivergedError: since then, a loss or a gradient was not finite.
        """
        if "loss" in logs:
            self.finite.check()
            steps = self.state.global_step - self._logged_step
            sums = self._unlogged_sums()
            means = {
                name: sum(one.get(name, 0.0) for one in sums) / len(sums) / steps
                for name in dict.fromkeys(name for one in sums for name in one)
            }
            logs["loss"], logs["losses"] = means.pop(TOTAL), means
            self._unlogged, self._logged_step = {}, self.state.global_step
        super().log(logs, start_time)

    def _unlogged_sums(self) -> list[dict[str, float]]:
        """Return each process's losses since the last logged step: a collective."""
        return ranks.gathered({name: float(loss) for name, loss in self._unlogged.items()})

    def floating_point_ops(self, inputs: Batch) -> int:  # type: ignore[override]
        """Return 0: no log reports them, and the parent would look for a key of a dict."""
        return 0

    # Checkpoints.

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.finite.check()
        losses = self._unlogged_sums()
        with shared_checkpoint(self.folder / f"step-{self.state.global_step}") as partial:
            if ranks.first():
                save_trained(self.joined, partial / TRAINED)
                self.state.save_to_json(str(partial / STATE))
                save_loss(partial, self._logged_step, losses)
            self.save_optimizer(partial)
            self._save_scaler(str(partial))
            self._save_rng_state(str(partial))
        if ranks.first():
            prune(self.folder, self.config.keep, best=self.config.validate.keep_best)

    def save_optimizer(self, folder: Path) -> None:
        """Write the states of optimizer and schedule."""
        if ranks.first():
            torch.save(self.optimizer.state_dict(), folder / OPTIMIZER)
            torch.save(self.lr_scheduler.state_dict(), folder / SCHEDULER)

    def load_optimizer(self, folder: Path) -> None:
        """Read the states of optimizer and schedule."""
        states = torch.load(folder / OPTIMIZER, map_location="cpu", weights_only=True)
        self.optimizer.load_state_dict(states)
        self.lr_scheduler.load_state_dict(torch.load(folder / SCHEDULER, weights_only=True))

    # Resume: the parent calls these three in this order.

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_trained(self.joined, Path(resume_from_checkpoint) / TRAINED)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            with restoring(checkpoint):
                self.load_optimizer(Path(checkpoint))

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Restore the random numbers and the unlogged loss; called right before the first step."""
        if checkpoint is None:
            return
        with restoring(checkpoint):
            super()._load_rng_state(checkpoint)
        self._logged_step, losses = load_loss(Path(checkpoint))
        self._unlogged = dict(losses[ranks.rank()])


def _diverged(step: int, clips: Sequence[str], loss: float) -> str:
    return (
        f"the loss is {loss} at step {step} (clips {', '.join(clips)}); "
        "the last checkpoint is kept: lower the learning rates and run again"
    )


def arguments(config: TrainConfig, seed: int, folder: Path) -> TrainingArguments:
    """Return the experiment's `[train]` table as transformers' arguments.

    The learning rates are not among them: `optimizer_groups` sets one for each group.
    """
    schedule = {"constant": "constant_with_warmup"}.get(config.schedule, config.schedule)
    found = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps_of(config),
        per_device_train_batch_size=config.micro_batch,
        gradient_accumulation_steps=config.accumulation,
        lr_scheduler_type=schedule,
        warmup_steps=config.warmup,
        max_grad_norm=0.0,  # GroupClip clips each group by itself
        seed=seed,
        use_cpu=config.device == "cpu" or not torch.cuda.is_available(),
        deepspeed=ds_config(config),
        ddp_find_unused_parameters=True,  # a phase of training may leave parts out
        bf16=config.precision == "bf16" and config.deepspeed is None,  # DeepSpeed has an autocast of its own
        fp16=config.precision == "fp16",
        logging_strategy="steps",
        logging_steps=config.log_every,
        logging_nan_inf_filter=False,
        save_strategy="steps" if config.save_every else "no",
        save_steps=config.save_every or 500,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )
    found._n_gpu = min(found.n_gpu, 1)  # noqa: SLF001 - a process trains on one GPU, never with DataParallel
    return found

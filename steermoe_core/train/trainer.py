"""transformers' `Trainer`, told what is ours: groups, token-weighted loss, data order, small checkpoints."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainingArguments

from steermoe_core.data.batches import BucketedBatches, Share, Turns
from steermoe_core.data.worker_errors import WorkerCollate
from steermoe_core.errors import DivergedError
from steermoe_core.train import ranks
from steermoe_core.train.callbacks import Callback, GroupClip, JournalWriter, LastStep
from steermoe_core.train.checkpoint import (
    STATE,
    TRAINED,
    common_checkpoint,
    keep_loss,
    kept_loss,
    load_trained,
    prune,
    restoring,
    save_trained,
)
from steermoe_core.train.deepspeed import ds_config
from steermoe_core.train.groups import optimizer_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from steermoe_core.config.experiment import TrainConfig
    from steermoe_core.data.example import Example
    from steermoe_core.data.layout import Batch
    from steermoe_core.model.joined import Joined
    from steermoe_core.train.journal import Journal


class SteeringTrainer(Trainer):
    """Trains what is trainable in a joined model.

    :param folder: where checkpoints go, as ``step-<n>``.
    :param examples: the training examples; their order is a pure function of the seed and the step.
    :param collate: turns examples into a batch.
    :param weights: share of each training source in an epoch; empty: every example once.
    """

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
    ) -> None:
        self.config = config
        self.joined = model
        self.folder = folder
        self.examples = examples
        self.weights = weights
        self.collate = collate
        model.encoder.recompute = "encoder" in config.recompute
        model.decoder.recompute = "decoder" in config.recompute
        self.clip = GroupClip(config.clip)
        self._taken_up = 0.0
        everyone: list[Any] = [self.clip, JournalWriter(self.clip), LastStep(), *callbacks]
        for callback in everyone:
            callback.journal, callback.joined = journal, model
        collator: Any = collate  # the parent expects dicts; ours are records
        super().__init__(
            model=model, args=arguments(config, seed, folder), data_collator=collator, callbacks=everyone
        )
        self.pop_callback(PrinterCallback)
        self.loss_is_scaled_for_ga = True  # the loss is divided by the tokens of the whole step

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return this process's batches of the whole run as one epoch, so that a resume only skips."""
        return self.batches(ranks.rank(), ranks.world())

    def batches(self, rank: int, world: int) -> DataLoader[Any]:
        """Return one process's batches of the run; all there are where it is the only one."""
        batches = BucketedBatches(
            seconds=[example.seconds for example in self.examples],
            batch_size=self.config.batch_size,
            bucket=self.config.bucket,
            seed=self.args.seed,
            batches=self.config.steps * self.config.accumulation * ranks.world(),
            sources=[example.source for example in self.examples],
            weights=self.weights,
        )
        return DataLoader(
            Turns(self.examples),
            batch_sampler=Share(batches, rank, world),
            collate_fn=WorkerCollate(self.collate),
            num_workers=self.config.workers,
        )

    def wanted(self) -> set[int]:
        """Return the numbers of the examples that this process trains on."""
        sampler: Any = self.get_train_dataloader().batch_sampler
        return {number % len(self.examples) for batch in sampler for number in batch}

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Return AdamW over the named groups."""
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(optimizer_groups(self.joined, self.config))
        return self.optimizer

    def compute_loss(  # type: ignore[override] # a batch is a record here
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - the parent's signature
        num_items_in_batch: Any = None,
    ) -> torch.Tensor:
        """Return the loss of a batch as its share of the whole step.

        :raises DivergedError: it is not a number.
        """
        reading = self.state.global_step >= self.joined.projector.start_steps
        loss: torch.Tensor = model(inputs, num_items_in_batch, language_model=reading)
        if not math.isfinite(loss.item()):
            step, clips = self.state.global_step + 1, ", ".join(inputs.ids)
            msg = (
                f"the loss is {loss.item()} at step {step} (clips {clips}); "
                "the last checkpoint is kept: lower the learning rates and run again"
            )
            raise DivergedError(msg)
        return loss

    def training_step(self, *given: Any, **named: Any) -> torch.Tensor:
        """Return the loss of a batch; the first after a resume has what was not yet logged."""
        loss, self._taken_up = super().training_step(*given, **named) + self._taken_up, 0.0
        return loss

    def _maybe_log_save_evaluate(self, tr_loss: torch.Tensor, *given: Any, **named: Any) -> None:
        self._unlogged = tr_loss  # the parent's own sum, which it sets to zero when it logs
        super()._maybe_log_save_evaluate(tr_loss, *given, **named)

    def _get_num_items_in_batch(  # type: ignore[override] # a share need not be whole
        self, batch_samples: list[Batch], device: torch.device
    ) -> float:
        """Return the answer tokens of the whole step a process: gradients are averaged over processes."""
        tokens = int(sum(batch.answer.lengths.sum() for batch in batch_samples))
        return ranks.total(tokens) / ranks.world()

    def _prepare_inputs(self, inputs: Batch) -> Batch:  # type: ignore[override] # likewise
        return inputs.to(self.args.device)

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> None:
        """Leave the gradients alone: GroupClip measures each group, the parent would use one norm for all."""

    def floating_point_ops(self, inputs: Batch) -> int:  # type: ignore[override]
        """Return 0: counted by nobody here."""
        return 0

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        final = self.folder / f"step-{self.state.global_step}"
        losses = ranks.gathered(self._unlogged.item())
        with common_checkpoint(final) as partial:
            if ranks.first():
                save_trained(self.joined, partial / TRAINED)
                self.state.save_to_json(str(partial / STATE))
                keep_loss(partial, self._globalstep_last_logged, losses)
            self._save_optimizer_and_scheduler(str(partial))
            self._save_scaler(str(partial))
            self._save_rng_state(str(partial))
        if ranks.first():
            prune(self.folder, self.config.keep, best=self.config.validate.keep_best)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        load_trained(self.joined, Path(resume_from_checkpoint) / TRAINED)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            with restoring(checkpoint):
                super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Take up the random numbers, and the loss that was not yet logged, right before the first step."""
        if checkpoint is None:
            return
        with restoring(checkpoint):
            super()._load_rng_state(checkpoint)
        if kept := kept_loss(Path(checkpoint)):
            self._globalstep_last_logged, losses = kept
            self._taken_up = losses[ranks.rank()]


def arguments(config: TrainConfig, seed: int, folder: Path) -> TrainingArguments:
    """Return the experiment's `[train]` table in transformers' words."""
    schedule = {"constant": "constant_with_warmup"}.get(config.schedule, config.schedule)
    found = TrainingArguments(
        output_dir=str(folder),
        max_steps=config.steps,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate.projector,
        lr_scheduler_type=schedule,
        warmup_steps=config.warmup,
        max_grad_norm=0.0,  # GroupClip clips each group by itself
        seed=seed,
        use_cpu=config.device == "cpu" or not torch.cuda.is_available(),
        deepspeed=ds_config(config),
        ddp_find_unused_parameters=True,  # a phase of training may leave parts out
        bf16=config.precision == "bf16" and config.deepspeed is None,  # which has an autocast of its own
        fp16=config.precision == "fp16",
        logging_strategy="steps",
        logging_steps=config.log_every,
        logging_nan_inf_filter=False,
        save_strategy="steps" if config.save_every else "no",
        save_steps=config.save_every or 500,
        dataloader_num_workers=config.workers,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )
    found._n_gpu = min(found.n_gpu, 1)  # noqa: SLF001 - a process trains on one GPU, never with DataParallel
    return found

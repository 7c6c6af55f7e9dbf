"""Callbacks that are wrong in one way each."""

from __future__ import annotations

import math

import torch

from steermoe_core.train.callbacks import Callback


class Right(Callback):
    """Writes down how large what is trained has become."""

    caught_by = None

    def __init__(self, config):
        pass

    def on_step_end(self, args, state, control, **_):
        size = sum(float(p.detach().square().sum()) for p in self.joined.adapter.parameters())
        self.journal.write(state.global_step, size=size)


class Stumbles(Right):
    """Raises in the second step."""

    caught_by = "survives"

    def on_step_end(self, args, state, control, **_):
        return 1 / (2 - state.global_step)


class OnlyWer(Right):
    """Expects one metric of every split."""

    caught_by = "scores"

    def on_scores(self, split, scores):
        return scores.metrics["wer"].value


class NotANumber(Right):
    """Writes what is no JSON."""

    caught_by = "journal"

    def on_step_end(self, args, state, control, **_):
        self.journal.write(state.global_step, size=math.nan)


class Vandal(Right):
    """Writes into the frozen encoder."""

    caught_by = "frozen"

    def on_step_end(self, args, state, control, **_):
        self.joined.encoder.first.weight.data.mul_(1.01)


class ChangesGradients(Right):
    """Makes gradients smaller behind the engine's back."""

    caught_by = "numbers"

    def on_pre_optimizer_step(self, args, state, control, **_):
        for parameter in self.joined.adapter.parameters():
            parameter.grad.mul_(torch.linspace(0.1, 1.0, parameter.grad.shape[-1]))


class Draws(Right):
    """Draws random numbers that belong to training."""

    caught_by = "numbers"

    def on_step_begin(self, args, state, control, **_):
        torch.randn(3)


class Declared(ChangesGradients):
    """Changes what is trained, and says so."""

    caught_by = None
    changes_training = True

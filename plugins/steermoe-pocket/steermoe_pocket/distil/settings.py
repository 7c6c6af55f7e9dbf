"""Settings of a distillation, with the defaults that `pocket/conformer-tiny` was made with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeVar

import attrs

_HELP = "help"
_Number = TypeVar("_Number", int, float)


def _flag(default: _Number, text: str) -> _Number:
    value: _Number = attrs.field(default=default, metadata={_HELP: text})
    return value


@attrs.frozen(kw_only=True)
class Settings:
    """What decides the weights: the same settings give the same training."""

    steps: int = _flag(5000, "optimizer steps")
    batch: int = _flag(16, "clips a step")
    seed: int = _flag(17, "of the weights, the order and the variations of the clips")
    hours: float = _flag(3.0, "of synthetic speech")
    voices: float = _flag(2.4, "hours of flite's and hibari's voices")
    kokoro: float = _flag(0.42, "hours of Kokoro's voices")
    human: int = _flag(4, "times that each human clip comes for each synthetic one")
    longest: float = _flag(16.0, "seconds of the longest clip")
    width: int = _flag(256, "D of the student")
    layers: int = _flag(4, "blocks of the student")
    heads: int = _flag(4, "of attention")
    kernel: int = _flag(15, "frames of the depthwise convolution")
    dropout: float = _flag(0.1, "while training")
    mask: float = _flag(0.1, "share of the features' time, and of their bins, that is masked while training")
    rate: float = _flag(1.5e-3, "highest learning rate")
    warmup: int = _flag(200, "steps up to the highest learning rate")
    decay: float = _flag(0.01, "weight decay")
    clip: float = _flag(1.0, "largest norm of the gradient")
    spelling: float = _flag(0.5, "weight of the CTC loss on characters")
    tokens: float = _flag(0.5, "weight of the CTC loss on the language model's tokens")
    carried: int = _flag(0, "1 starts from the weights that this package carries, 0 from random ones")
    bf16: int = _flag(1, "1 computes in bf16 where that loses little, 0 in fp32")

    def command(self) -> str:
        """Return the command line that says so."""
        given, usual = attrs.asdict(self), attrs.asdict(Settings())
        flags = [f"--{name} {given[name]}" for name in given if given[name] != usual[name]]
        return " ".join(["python -m steermoe_pocket.distil", *flags])


@attrs.frozen(kw_only=True)
class Command:
    """A whole command line.

    :param folder: of the training's state; a training that lies there is gone on with.
    :param out: where the weights are written.
    :param save_every: steps between two states, each with its held-out errors.
    :param workers: processes that prepare clips and ask the teacher, one thread each.
    :param export: write the weights of the last state, train no further.
    """

    settings: Settings
    folder: Path
    out: Path
    save_every: int
    workers: int
    export: bool


def parse(argv: list[str] | None) -> Command:
    """Return what the command line asks for."""
    show = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m steermoe_pocket.distil", formatter_class=show)
    for field in attrs.fields(Settings):
        parser.add_argument(
            f"--{field.name}", type=type(field.default), default=field.default, help=field.metadata[_HELP]
        )
    parser.add_argument("--folder", type=Path, default=Path("runs/distil"), help="of the training's state")
    parser.add_argument("--out", type=Path, default=Path("runs/distil/conformer-tiny"), help="of the weights")
    parser.add_argument("--save-every", type=int, default=100, help="steps between two states")
    parser.add_argument("--workers", type=int, default=1, help="processes that ask the teacher")
    parser.add_argument(
        "--export", action="store_true", help="write the last state's weights, train no further"
    )
    given = vars(parser.parse_args(argv))
    settings = Settings(**{field.name: given.pop(field.name) for field in attrs.fields(Settings)})
    return Command(settings=settings, **given)

"""Small random conformers, as the public checkpoints are written."""

from __future__ import annotations

import argparse
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from steermoe_conformer.network import Network, Shape

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Shape(bins=80, width=16, layers=3, heads=4, kernel=5)
FRAMES = 1000


def random_network(shape: Shape = SMALL, seed: int = 5) -> Network:
    """Return a network whose every tensor is random, norms and biases too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network(shape)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return network.requires_grad_(False)


def statistics() -> np.ndarray:
    """Return sums, sums of squares and the count of features of mean 10 and deviation 2 (2,81)."""
    chance = np.random.default_rng(3)
    mean, deviation = 10 + chance.normal(size=80), 2 + chance.uniform(size=80)
    rows = np.stack([FRAMES * mean, FRAMES * (mean**2 + deviation**2)])
    return np.concatenate([rows, [[FRAMES], [0]]], axis=1)


def ark(matrix: np.ndarray, kind: bytes = b"DM ") -> bytes:
    """Return a matrix as Kaldi writes it in binary, without a key."""
    numbers = matrix.astype("<f8" if kind == b"DM " else "<f4").tobytes()
    return b"\0B" + kind + struct.pack("<BiBi", 4, matrix.shape[0], 4, matrix.shape[1]) + numbers


def arguments(shape: Shape = SMALL, **other: Any) -> argparse.Namespace:
    """Return the settings as the public checkpoints have them."""
    named = {
        "idim": shape.bins,
        "odim": 7832,
        "d_model": shape.width,
        "n_layers_enc": shape.layers,
        "n_layers_dec": 1,
        "n_head": shape.heads,
        "kernel_size": shape.kernel,
        "residual_dropout": 0.1,
        "dropout_rate": 0.1,
        "pe_maxlen": 5000,
        "sos_id": 3,
        "eos_id": 4,
        "pad_id": 2,
    }
    return argparse.Namespace(**{**named, **other})


def state(network: Network) -> dict[str, torch.Tensor]:
    """Return the tensors of a public checkpoint: the encoder's, its table of positions, a decoder's."""
    own = {f"encoder.{name}": tensor for name, tensor in network.state_dict().items()}
    table = {"encoder.positional_encoding.pe": torch.zeros(1, 9999, 4)}
    return {**own, **table, "decoder.tgt_word_emb.weight": torch.zeros(7, 4)}


def save_public(folder: Path, tensors: dict[str, torch.Tensor] | None = None, args: Any = None) -> str:
    """Write `model.pth.tar` and `cmvn.ark`; return the folder's name."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {"args": args or arguments(), "model_state_dict": tensors or state(random_network())}
    torch.save(found, folder / "model.pth.tar")
    (folder / "cmvn.ark").write_bytes(ark(statistics()))
    return str(folder)

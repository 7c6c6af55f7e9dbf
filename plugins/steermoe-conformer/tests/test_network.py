"""The network against its formulas, evaluated one number at a time in float64 and sharing no code with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steermoe_conformer.network import AED_L, Network, Shape, relative_positions, subsampled
from steermoe_core.data.padded import Padded
from tests.conformers import SMALL, random_network

CLOSE = {"rtol": 1e-4, "atol": 1e-4}


def encode(features, weights, heads, kernel):
    """Return frames (T',D) of one clip's normalised features (T,F)."""
    w = {name: tensor.double().numpy() for name, tensor in weights.items()}
    x = subsample(np.concatenate([features, np.zeros((6, features.shape[1]))]), w)
    layers = 1 + max(int(name.split(".")[1]) for name in w if name.startswith("layer_stack"))
    for layer in range(layers):
        own = {n.split(".", 2)[2]: v for n, v in w.items() if n.startswith(f"layer_stack.{layer}.")}
        x = block(x, own, heads, kernel)
    return x


def subsample(x, w):
    maps = x[None]
    for number in (0, 2):
        name = f"input_preprocessor.conv.{number}"
        maps = np.maximum(convolve(maps, w[f"{name}.weight"], w[f"{name}.bias"]), 0)
    rows = [np.concatenate([channel[t] for channel in maps]) for t in range(maps.shape[1])]
    out = "input_preprocessor.out"
    return np.stack([w[f"{out}.weight"] @ row + w[f"{out}.bias"] for row in rows])


def convolve(maps, weight, bias):
    _, time, bins = maps.shape
    out = np.zeros((len(weight), (time - 1) // 2, (bins - 1) // 2))
    for channel, t, f in np.ndindex(*out.shape):
        patch = maps[:, 2 * t : 2 * t + 3, 2 * f : 2 * f + 3]
        out[channel, t, f] = (patch * weight[channel]).sum() + bias[channel]
    return out


def block(x, w, heads, kernel):
    x = x + 0.5 * feed_forward(x, w, "ffn1")
    x = x + attention(x, w, heads)
    x = x + convolution(x, w, kernel)
    x = x + 0.5 * feed_forward(x, w, "ffn2")
    return norm(x, w, "layer_norm")


def feed_forward(x, w, name):
    hidden = silu(norm(x, w, f"{name}.net.0") @ w[f"{name}.net.1.weight"].T + w[f"{name}.net.1.bias"])
    return hidden @ w[f"{name}.net.4.weight"].T + w[f"{name}.net.4.bias"]


def attention(x, w, heads):
    count, width = x.shape
    size = width // heads
    q, k, v = (norm(x, w, f"mhsa.layer_norm_{n}") @ w[f"mhsa.w_{n}s.weight"].T for n in "qkv")
    out = np.zeros((count, width))
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        u, t = w["mhsa.pos_bias_u"][head], w["mhsa.pos_bias_v"][head]
        for i in range(count):
            places = [(w["mhsa.linear_pos.weight"] @ sinusoids(i - j, width))[part] for j in range(count)]
            scores = [(q[i, part] + u) @ k[j, part] + (q[i, part] + t) @ places[j] for j in range(count)]
            shares = np.exp((np.array(scores) - max(scores)) / np.sqrt(size))
            out[i, part] = (shares / shares.sum()) @ v[:, part]
    return out @ w["mhsa.fc.weight"].T


def sinusoids(offset, width):
    angles = offset * 10000.0 ** (-np.arange(0, width, 2) / width)
    row = np.zeros(width)
    row[0::2], row[1::2] = np.sin(angles), np.cos(angles)
    return row


def convolution(x, w, kernel):
    y = norm(x, w, "conv.pre_layer_norm") @ w["conv.pointwise_conv1.weight"][:, :, 0].T
    half = y.shape[1] // 2
    y = y[:, :half] / (1 + np.exp(-y[:, half:]))
    mixed = np.zeros_like(y)
    for t in range(len(y)):
        for tap in range(kernel):
            source = t + tap - kernel // 2
            if 0 <= source < len(y):
                mixed[t] += w["conv.depthwise_conv.weight"][:, 0, tap] * y[source]
    return silu(norm(mixed, w, "conv.batch_norm")) @ w["conv.pointwise_conv2.weight"][:, :, 0].T


def norm(x, w, name):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]


def silu(x):
    return x / (1 + np.exp(-x))


def test_network_is_its_formulas() -> None:
    """Clips of unequal length in one batch, padded with garbage, give the numbers of the formulas."""
    network = random_network().double()
    clips = [torch.randn(length, 80, dtype=torch.float64) for length in (1, 2, 5, 23, 38)]

    frames = network(Padded.stack(clips, fill=7.0))

    for clip, row in zip(clips, frames.rows(), strict=True):
        expected = encode(clip.numpy(), network.state_dict(), SMALL.heads, SMALL.kernel)
        # Positions are computed in fp32, as those of the checkpoints were.
        torch.testing.assert_close(row, torch.from_numpy(expected), rtol=1e-5, atol=1e-5)


def test_public_model_has_its_size() -> None:
    """FireRedASR-AED-L: 550 tensors beside the table of positions, 710,543,968 parameters."""
    with torch.device("meta"):
        network = Network(AED_L)

    assert len(network.state_dict()) == 6 + 16 * 34
    assert sum(parameter.numel() for parameter in network.parameters()) == 710_543_968
    assert sum(p.numel() for p in network.layer_stack[0].parameters()) == 44_359_680
    assert network.input_preprocessor.out.weight.shape == (1280, 608)


@given(st.integers(1, 10_000))
def test_every_fourth_frame_counts(length: int) -> None:
    """With six frames of zeros behind, the two convolutions give ⌈T/4⌉ frames, neither more nor fewer."""
    convolved = ((length + 6 - 1) // 2 - 1) // 2

    assert subsampled(length) == convolved == -(-length // 4)


@given(st.integers(7, 3000))
def test_another_law_counts_one_or_two_frames_less(length: int) -> None:
    """⌊(T - 3) / 4⌋ is the number of frames that see no zero behind the clip."""
    seen = [range(4 * frame, 4 * frame + 7) for frame in range(subsampled(length))]
    whole = sum(windows[-1] < length for windows in seen)

    assert whole == (length - 3) // 4
    assert subsampled(length) - whole in {1, 2}


@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.integers(0, 30))
@settings(deadline=None, max_examples=25)
def test_a_clip_does_not_see_its_batch(lengths: list[int], padding: int) -> None:
    """Frames are those of the clip alone, whatever the padding holds and however long it is."""
    network = random_network()
    clips = [torch.randn(length, 80) for length in lengths]
    batch = Padded.stack(clips, fill=50.0)

    frames = network(
        Padded(torch.nn.functional.pad(batch.values, (0, 0, 0, padding), value=-9.0), batch.lengths)
    )

    assert frames.lengths.tolist() == [subsampled(length) for length in lengths]
    for clip, row in zip(clips, frames.rows(), strict=True):
        torch.testing.assert_close(row, network(Padded.stack([clip])).values[0], **CLOSE)


def test_positions_have_no_end() -> None:
    """There is no table that could run out: an hour at 25 frames a second has its sinusoids."""
    found = relative_positions(torch.zeros(1, 90_000, 4))

    assert found.shape == (179_999, 4)
    assert found[0].tolist() == pytest.approx(sinusoids(89_999, 4).tolist(), abs=1e-2)
    assert found[89_999].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("wrong", [{"width": 18}, {"width": 15, "heads": 5}, {"kernel": 4}])
def test_impossible_shapes_are_refused(wrong: dict[str, int]) -> None:
    """Heads divide the width, sinusoids come in pairs, a kernel has a middle."""
    with pytest.raises(ValueError, match="no conformer has"):
        Shape(**{"width": 16, "heads": 4, **wrong})

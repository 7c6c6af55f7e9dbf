"""Encoders that are wrong in one way each."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import nn

from steermoe_core.data.padded import Padded
from steermoe_core.model.encoder import Encoder, untouched
from steermoe_core.testing.config import TinyConfig
from steermoe_core.testing.parts import TinyEncoder


class Right(TinyEncoder):
    """The one that all others are made of: nothing is wrong with it."""

    caught_by = None

    def __init__(self, config):
        super().__init__(TinyConfig())

    def forward(self, features, tap=untouched):
        return self.from_layer(0, self.before(Padded(self.first(features.values), features.lengths)), tap)

    def from_layer(self, first, frames, tap=untouched):
        for number in range(first, self.layers):
            frames = self.step(number, partial(_mix, self.mixers[number]), frames.zeroed(), tap)
        return frames

    def before(self, hidden):
        """Do something to what the layers get."""
        return hidden

    def step(self, number, compute, hidden, tap):
        """Compute one layer."""
        return self.layer(number, compute, hidden, tap)


def _mix(mixer, values):
    return values + torch.tanh(mixer(values.transpose(1, 2)).transpose(1, 2))


class NoEncoder(nn.Module):
    """Is something else."""

    caught_by = "builds"

    def __init__(self, config):
        super().__init__()


class NoWidth(Right):
    """Forgets to say how wide it is."""

    caught_by = "declares"

    def __init__(self, config):
        super().__init__(config)
        self.width = None


class HalfWay(Right):
    """Changes the waveforms of others."""

    caught_by = "features"

    def features(self, waveforms):
        for wave in waveforms:
            wave[:] = 0.5 * wave
        return super().features(waveforms)


class Liar(Right):
    """Says another width than it gives."""

    caught_by = "frames"

    def __init__(self, config):
        super().__init__(config)
        self.width += 1


class OffByOne(Right):
    """Counts a frame too many where a clip fills its windows."""

    caught_by = "length_law"

    def frames(self, samples):
        return samples // 1600 + 1


class Unguarded(Right):
    """Divides by a deviation that silence does not have."""

    caught_by = "finite"

    def features(self, waveforms):
        return super().features([wave / wave.std() if len(wave) > 1 else wave for wave in waveforms])


class TooFewPlaces(Right):
    """Has positions for 15 of its 20 seconds."""

    caught_by = "max_seconds"

    def before(self, hidden):
        return Padded(hidden.values + torch.zeros(150, 1)[: hidden.values.shape[1]], hidden.lengths)


class PaddingLeak(Right):
    """Takes a mean over time, padding included."""

    caught_by = "padding_invariance"

    def before(self, hidden):
        return Padded(hidden.values + hidden.values.mean(1, keepdim=True), hidden.lengths)


class BatchNorm(Right):
    """Normalises over all frames of the batch, as a batch norm in training mode does."""

    caught_by = "batch_invariance"

    def before(self, hidden):
        real = hidden.values[hidden.mask]
        return Padded((hidden.values - real.mean(0)) / (real.std(0, correction=0) + 1e-3), hidden.lengths)


class Noisy(Right):
    """Adds noise."""

    caught_by = "determinism"

    def before(self, hidden):
        return Padded(hidden.values + 0.1 * torch.randn_like(hidden.values), hidden.lengths)


class AnotherEachTime(Right):
    """Draws its weights from the seed of the run."""

    caught_by = "same_weights"

    def __init__(self, config):
        super().__init__(config)
        nn.init.normal_(self.first.weight)


class Dropping(Right):
    """Trains along with the model around it: dropout is active."""

    caught_by = "eval_mode"

    def before(self, hidden):
        return Padded(self.dropout(hidden.values), hidden.lengths)

    def train(self, mode=True):  # noqa: FBT002 - torch's signature
        return nn.Module.train(self, mode)


class LeftOn(Right):
    """Leaves a parameter trainable."""

    caught_by = "frozen"

    def __init__(self, config):
        super().__init__(config)
        self.first.bias.requires_grad_(True)


class Double(Right):
    """Ends in double precision."""

    caught_by = "dtype"

    def forward(self, features, tap=untouched):
        frames = super().forward(features, tap)
        return Padded(frames.values.double(), frames.lengths)


class NeedsWeights(Right):
    """Looks at its weights while it is built, so that no plan can be made without them."""

    caught_by = "plan"

    def __init__(self, config):
        super().__init__(config)
        self.scale = 1.0 + 0.0 * float(self.first.bias.sum())


class SkipsATap(Right):
    """Does not call the tap of one layer."""

    caught_by = "taps"

    def step(self, number, compute, hidden, tap):
        return super().step(number, compute, hidden, untouched if number == 1 else tap)


class IgnoresATap(Right):
    """Goes on with its own output at one layer, whatever the tap gave back."""

    caught_by = "tap_results"

    def step(self, number, compute, hidden, tap):
        given = super().step(number, compute, hidden, tap)
        return super().step(number, compute, hidden, untouched) if number == 1 else given


class GoesAround(Right):
    """Has a residual path around the tap."""

    caught_by = "tap_results"

    def step(self, number, compute, hidden, tap):
        given = super().step(number, compute, hidden, tap)
        return Padded(given.values + 0.1 * hidden.values, given.lengths)


class Detached(Right):
    """Cuts the gradient between two layers."""

    caught_by = "tap_gradients"

    def step(self, number, compute, hidden, tap):
        frames = super().step(number, compute, hidden, tap)
        return Padded(frames.values.detach(), frames.lengths) if number == 1 else frames


class NeverAgain(Right):
    """Calls the tap by itself, so that nothing can be recomputed."""

    caught_by = "recompute"

    def step(self, number, compute, hidden, tap):
        return tap(number, Padded(compute(hidden.values), hidden.lengths))


class StartsLate(Right):
    """Leaves out the layer that it is to begin with."""

    caught_by = "from_layer"

    def forward(self, features, tap=untouched):
        return Right.from_layer(self, 0, Padded(self.first(features.values), features.lengths), tap)

    def from_layer(self, first, frames, tap=untouched):
        return super().from_layer(first + 1, frames, tap)


class Crowd(Right):
    """Says that it packs clips, and lets them hear each other."""

    caught_by = "packing"
    gives = ("layer-taps", "packing")

    def before(self, hidden):
        mean = hidden.values.mean((0, 1)) if self.packing else 0.0
        return Padded(hidden.values + mean, hidden.lengths)


class NoMaps(Right):
    """Says that it has linear maps, and has convolutions."""

    caught_by = "linear_maps"
    gives = ("layer-taps", "linear-maps")


class Declared(Right):
    """Has no taps, and says so: its component gives nothing."""

    caught_by = None
    gives = ()

    def step(self, number, compute, hidden, tap):
        return super().step(number, compute, hidden, untouched)


class Speechless(Right):
    """Says that it has a decoder of its own, and has none."""

    caught_by = "own_decoder"
    gives = ("layer-taps", "own-decoder")


class Secretive(Right):
    """Has a decoder of its own, and does not say so."""

    caught_by = "own_decoder"

    def own_transcripts(self, waveforms):
        return ["one"] * len(waveforms)


class Eavesdropping(Right):
    """Writes down how many others are in the batch."""

    caught_by = "own_decoder"
    gives = ("layer-taps", "own-decoder")

    def own_transcripts(self, waveforms):
        return [str(len(waveforms))] * len(waveforms)


class Literate(Right):
    """Has a decoder of its own, and says so."""

    caught_by = None
    gives = ("layer-taps", "own-decoder")

    def own_transcripts(self, waveforms):
        return [str(len(wave)) for wave in waveforms]


class Silent(Encoder):
    """Lets one float64 array through to the features."""

    caught_by = "dtype"
    sample_rate, width, layers = 16_000, 4, 1

    def __init__(self, config):
        super().__init__()
        self.first = nn.Linear(160, 4)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            nn.init.normal_(self.first.weight)
            nn.init.normal_(self.first.bias)
        self.freeze()

    def frames(self, samples):
        return -(-samples // 160)

    def features(self, waveforms):
        windows = [np.pad(w.astype(np.float64), (0, -len(w) % 160)).reshape(-1, 160) for w in waveforms]
        return Padded.stack([torch.from_numpy(window) for window in windows])

    def forward(self, features, tap=untouched):
        values = self.first(features.values.float())
        return self.layer(0, torch.tanh, Padded(values, features.lengths), tap)


class Widening(TinyEncoder):
    """Has layers of three widths, and says so."""

    caught_by = None
    layer_widths = (12, 8, 20)

    def __init__(self, config):
        super().__init__(TinyConfig())
        self.width = 20
        with torch.random.fork_rng():
            torch.manual_seed(1)
            inputs = (12, 12, 8)
            pairs = zip(inputs, (12, 8, 20), strict=True)
            self.maps = nn.ModuleList(nn.Linear(*pair) for pair in pairs)
        self.freeze()

    def forward(self, features, tap=untouched):
        hidden = Padded(self.first(features.values), features.lengths)
        for number, layer in enumerate(self.maps):
            hidden = self.layer(number, layer, hidden, tap)
        return hidden


class OneWidth(Widening):
    """Has layers of three widths, and names that of the last."""

    caught_by = "taps"
    layer_widths = (20, 20, 20)

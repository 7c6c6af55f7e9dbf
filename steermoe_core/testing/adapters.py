"""The checks of an adapter: what it trains, what it leaves alone, what it tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from steermoe_core.component import tower_of
from steermoe_core.data.padded import Padded
from steermoe_core.model.adapter import Adapter
from steermoe_core.model.config import IdentityConfig
from steermoe_core.model.joined import Joined
from steermoe_core.model.projectors import IdentityProjector
from steermoe_core.model.weights import fingerprint
from steermoe_core.testing.config import TinyConfig
from steermoe_core.testing.modules import (
    ModuleSuite,
    apart,
    backward,
    noise,
    same_tensors,
    weighed,
    without_gradient,
)
from steermoe_core.testing.parts import DecoderTower, DenseEncoder, decoder, save_decoder
from steermoe_core.testing.suite import needs
from steermoe_core.train.checkpoint import load_trained, save_trained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from steermoe_core.model.encoder import Encoder

_WIDTH = 32  # of the tiny language model, too


class AdapterSuite(ModuleSuite):
    """Checks of an `Adapter`, on a tiny encoder with a linear map in each of its three layers."""

    kind = "adapter"

    def encoder(self) -> Encoder:
        """Return a new encoder for the adapter; an adapter of certain encoders overrides this."""
        return DenseEncoder(TinyConfig(width=_WIDTH))

    def tower(self) -> Encoder:
        """Return what the adapter works on: a new encoder, or the decoder in an encoder's place."""
        if tower_of(self.selection().config) == "encoder":
            return self.encoder()
        folder = self.folder / "tower"
        return DecoderTower(str(folder) if folder.exists() else save_decoder(folder))

    def context(self) -> Sequence[Any]:
        """Return a new tower, and what builds parts."""
        self._encoder = self.tower()
        return (self._encoder, self._built)

    def check_type(self, part: Any) -> None:
        """Refuse what is no adapter."""
        self.expect_instance(part, Adapter)

    def adapted(self, seed: int = 0, *, moved: bool = True) -> tuple[Adapter, Encoder]:
        """Return an adapter in eval mode and its encoder.

        :param moved: away from where it starts, which may be without any effect.
        """
        adapter: Adapter = self.seeded(seed)
        if isinstance(self._encoder, DecoderTower):
            self._encoder.prompt = adapter.prompt
        if moved:
            with torch.no_grad():
                for number, parameter in enumerate(_trained(adapter)):
                    # Drawn on the CPU by number: the same for every adapter of the same shapes.
                    chance = torch.Generator("cpu").manual_seed(seed * 1000 + number)
                    parameter.add_(0.3 * torch.randn(parameter.shape, generator=chance))
        return adapter, self._encoder

    @needs("builds")
    def test_groups(self) -> None:
        """`groups()` holds every trainable parameter exactly once, under names that have a learning rate."""
        adapter, encoder = self.adapted(moved=False)
        grouped = [id(parameter) for parameter in _trained(adapter)]
        named = {**dict(encoder.named_parameters()), **dict(adapter.named_parameters())}
        trainable = {id(parameter): name for name, parameter in named.items() if parameter.requires_grad}
        missing = [name for number, name in trainable.items() if number not in grouped]
        self.expect(not missing, f"{missing[:1]} is trainable but in no group: add it to groups()")
        frozen = [number for number in grouped if number not in trainable]
        self.expect(not frozen, "groups() holds a parameter that is not trainable, or of another module")
        self.expect(len(grouped) == len(set(grouped)), "groups() holds a parameter twice")
        self.expect_declared(adapter.groups())

    @needs("builds")
    def test_lengths(self) -> None:
        """Adapted frames have the shape, lengths and type of the encoder's: fp32 or half."""
        for dtype in (torch.float32, torch.bfloat16):
            adapter, encoder = self.adapted()
            if dtype is torch.bfloat16:
                _halve(encoder, adapter)
            features = encoder.features(self._waves())
            bare = self.tower().to(dtype)(features)
            frames = adapter.after(encoder(features, adapter.tap))
            found, wanted = frames.values, bare.values
            same = found.shape == wanted.shape and frames.lengths.tolist() == bare.lengths.tolist()
            self.expect(
                same,
                f"adapted frames are {tuple(found.shape)}, expected the encoder's {tuple(wanted.shape)} and "
                "lengths",
            )
            self.expect(
                found.dtype == dtype,
                f"of {dtype} frames it makes {found.dtype}: give back the type it was given",
            )

    @needs("determinism")
    def test_padding_invariance(self) -> None:
        """The adapted frames of a clip are the same with padding of any value as without."""
        adapter, encoder = self.adapted()
        features = encoder.features([noise(6_000)])
        longer = torch.nn.functional.pad(features.values, (0, 0, 0, 5), value=3.0)
        self.expect_close(
            self._frames(adapter, encoder, features).rows()[0],
            self._frames(adapter, encoder, Padded(longer, features.lengths)).rows()[0],
            "with padding a clip has other adapted frames (by {}): use frames.mask wherever time is "
            "summed over",
        )

    @needs("determinism")
    def test_batch_invariance(self) -> None:
        """The adapted frames of a clip are the same among other clips as alone."""
        adapter, encoder = self.adapted()
        waves = [noise(6_000, seed) for seed in range(3)]
        together = self._frames(adapter, encoder, encoder.features(waves)).rows()
        for wave, row in zip(waves, together, strict=True):
            alone = self._frames(adapter, encoder, encoder.features([wave])).rows()[0]
            self.expect_close(row, alone, "in a batch a clip has other adapted frames than alone (by {})")

    @needs("builds")
    def test_determinism(self) -> None:
        """In eval mode the same clip gives the same frames."""
        adapter, encoder = self.adapted()
        features = encoder.features(self._waves())
        self.expect_close(
            self._frames(adapter, encoder, features).values,
            self._frames(adapter, encoder, features).values,
            "in eval mode the same clips give other frames the second time (by {}): no noise, no dropout, "
            "no memory",
        )

    @needs("groups")
    def test_gradients(self) -> None:
        """A training step gives every trained parameter a finite gradient that is not zero."""
        adapter, encoder = self.adapted()
        frames = adapter.after(encoder(encoder.features(self._waves()), adapter.tap))
        added, trained = sum(adapter.losses().values()), _trained(adapter)
        if trained:
            self.expect(
                frames.values.requires_grad, "the adapted frames carry no gradient to what is trained"
            )
            backward(weighed(frames) + added)
        ids = {id(parameter) for parameter in trained}
        named = {**dict(encoder.named_parameters()), **dict(adapter.named_parameters())}
        missing = without_gradient((name, p) for name, p in named.items() if id(p) in ids)
        self.expect(
            not missing, f"no gradient from the adapted frames reaches {missing[:1]}, so it never learns"
        )

    @needs("determinism")
    def test_first_layer(self) -> None:
        """Layers before `first_layer` give what they give without it; with None, the whole encoder does."""
        adapter, encoder = self.adapted()
        features = encoder.features(self._waves())
        bare, found = _layers(self.tower(), features), _layers(encoder, features, adapter)
        until = encoder.layers if adapter.first_layer is None else adapter.first_layer
        self.expect(
            0 <= until <= encoder.layers, f"first_layer is {until}, expected a layer's number or None"
        )
        for number in range(until):
            self.expect(
                apart(bare[number], found[number]) == 0,
                f"first_layer is {adapter.first_layer}, but layer {number} of the encoder gives other "
                "frames: name the first layer that is changed",
            )

    @needs("groups")
    def test_frozen_encoder(self) -> None:
        """A training step leaves every frozen tensor of the encoder as it is."""
        before = fingerprint(self.tower())
        adapter, encoder = self.adapted()
        optimizer = torch.optim.SGD([*_trained(adapter), torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        for _ in range(2):
            frames = adapter.after(encoder(encoder.features(self._waves()), adapter.tap))
            if frames.values.requires_grad:
                backward(weighed(frames))
            optimizer.step()
        same = fingerprint(encoder) == before
        self.expect(
            same,
            "two training steps changed a frozen tensor of the encoder, or its name: train only groups()",
        )

    @needs("gradients", "determinism", "statistics", "same_start")
    def test_recompute(self) -> None:
        """With the encoder's `recompute`, frames, gradients, losses and statistics are the same."""
        plain, again = (self._step(recompute=recompute) for recompute in (False, True))
        for name, one, other in zip(("frames", "gradients", "losses"), plain[:3], again[:3], strict=True):
            self.expect_close(
                one,
                other,
                f"with train.recompute the {name} are others (by {{}}): ask "
                "steermoe_core.model.recompute.again() before noting anything in a tap",
            )
        same = json.dumps(plain[3]) == json.dumps(again[3])
        self.expect(
            same,
            "with train.recompute the statistics are others: ask steermoe_core.model.recompute.again() first",
        )

    @needs("builds")
    def test_losses(self) -> None:
        """`losses()` has finite numbers with a gradient, under valid names, once for each forward pass."""
        adapter, encoder = self.adapted()
        adapter.after(encoder(encoder.features(self._waves()), adapter.tap))
        self.expect_losses(adapter)

    @needs("builds")
    def test_statistics(self) -> None:
        """`statistics()` gives JSON records of what passed since `watch()`, each with its layer."""
        adapter, encoder = self.adapted()
        adapter.watch()
        self._frames(adapter, encoder, encoder.features(self._waves()))
        records = adapter.statistics()
        try:
            json.dumps(records, allow_nan=False)
        except (TypeError, ValueError) as error:
            msg = f"statistics() cannot be written as JSON ({error}): give plain finite numbers"
            raise self.wrong(msg) from error
        self.expect(all("layer" in record for record in records), "a record of statistics() has no key layer")
        told = all("load" in record for record in records) and bool(records)
        gives = "gates" in (self.record.gives or ())
        self.expect(
            told or not gives,
            "it gives gates, but statistics() has no record with a key load: leave the word out",
        )
        self.expect(
            adapter.statistics() == [],
            "statistics() gave records without watch(): stop collecting when asked",
        )

    @needs("groups")
    def test_extend(self) -> None:
        """`extend` leaves trained tensors and all shapes as they are."""
        adapter, _ = self.adapted()
        trained = [parameter.detach().clone() for parameter in _trained(adapter)]
        shapes = {name: tensor.shape for name, tensor in adapter.state_dict().items()}
        note = adapter.extend(iter([[8, 9], [2]]))
        self.expect(note is None or isinstance(note, str), f"extend() gave {note!r}, expected a note or None")
        same = all(torch.equal(*pair) for pair in zip(trained, _trained(adapter), strict=True))
        self.expect(same, "extend() changed what the adapter has learned: leave what is trained")
        self.expect(
            shapes == {name: tensor.shape for name, tensor in adapter.state_dict().items()},
            "extend() changed the names or shapes of what is saved: a resume could not load it",
        )

    @needs("builds")
    def test_same_start(self) -> None:
        """The same seed gives the same initial weights."""
        different = same_tensors(self.adapted(3, moved=False)[0], self.adapted(3, moved=False)[0])
        self.expect(
            not different, f"{different[:1]} differs between two builds of one seed: draw it from torch alone"
        )

    @needs("groups", "determinism")
    def test_state(self) -> None:
        """What is saved is all that was trained: loaded into another one, the frames are the same."""
        weights = save_decoder(self.folder / "decoder")
        adapter, encoder = self.adapted(1)
        other, its_encoder = self.adapted(2)
        save_trained(_joined(encoder, adapter, weights), self.folder / "trained.safetensors")
        load_trained(_joined(its_encoder, other, weights), self.folder / "trained.safetensors")
        features = encoder.features(self._waves())
        self.expect_close(
            self._frames(adapter, encoder, features).values,
            self._frames(other, its_encoder, features).values,
            "loaded from its saved tensors it gives other frames (by {}): hold what matters as parameters "
            "or buffers",
        )

    def _waves(self) -> list[Any]:
        return [noise(6_000), noise(11_000, 1)]

    @torch.no_grad()
    def _frames(self, adapter: Adapter, encoder: Encoder, features: Padded) -> Padded:
        return adapter.after(encoder(features, adapter.tap)).zeroed()

    def _step(self, *, recompute: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Any]:
        """Return frames, all gradients, the sum of the losses and statistics of one training step."""
        adapter, encoder = self.adapted()
        encoder.recompute = recompute
        adapter.watch()
        frames = adapter.after(encoder(encoder.features(self._waves()), adapter.tap))
        total = torch.stack([torch.zeros(()), *adapter.losses().values()]).sum()
        if frames.values.requires_grad:
            backward(weighed(frames) + total)
        gradients = [p.grad.flatten() for p in _trained(adapter) if p.grad is not None]
        return (
            frames.values.detach(),
            torch.cat([torch.zeros(1), *gradients]),
            total.detach(),
            adapter.statistics(),
        )


def _trained(adapter: Adapter) -> list[nn.Parameter]:
    return [parameter for group in adapter.groups().values() for parameter in group]


def _halve(encoder: Encoder, adapter: Adapter) -> None:
    """Turn the frozen weights into half precision, as checkpoints have them; the trained stay fp32."""
    trained = {id(parameter) for parameter in _trained(adapter)}
    for parameter in encoder.parameters():
        if id(parameter) not in trained:
            parameter.data = parameter.data.to(torch.bfloat16)


def _layers(encoder: Encoder, features: Padded, adapter: Adapter | None = None) -> list[torch.Tensor]:
    """Return what each layer hands on to the next one."""
    seen = []

    def tap(layer: int, frames: Padded) -> Padded:
        found = frames if adapter is None else adapter.tap(layer, frames)
        seen.append(found.values)
        return found

    with torch.no_grad():
        encoder(features, tap)
    return seen


def _joined(encoder: Encoder, adapter: Adapter, weights: str) -> Joined:
    language_model = decoder(weights)
    return Joined(
        encoder, adapter, IdentityProjector(IdentityConfig(), _WIDTH, language_model), language_model
    )

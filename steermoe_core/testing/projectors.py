"""The checks of a projector: its law of tokens, padding, batch-mates, gradients, begin and own loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import SkipTest

import torch

from steermoe_core.data.padded import Padded, Pooled
from steermoe_core.model.pooling import pool
from steermoe_core.model.projectors import Projector
from steermoe_core.plugins.quarantine import described
from steermoe_core.testing.modules import (
    ModuleSuite,
    backward,
    numbers,
    same_tensors,
    weighed,
    without_gradient,
)
from steermoe_core.testing.parts import decoder, save_decoder
from steermoe_core.testing.suite import needs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from steermoe_core.model.decoder import Decoder

#: Lengths in frames that the law is tried on.
_LENGTHS = (*range(1, 18), 31, 32, 33, 100)


class ProjectorSuite(ModuleSuite):
    """Checks of a `Projector`, into a tiny language model.

    :cvar width: of the frames; that of the language model, so that a projector without a map fits too.
    """

    kind = "projector"
    width = 32

    def context(self) -> Sequence[Any]:
        """Return width and language model."""
        return (self.width, self.decoder)

    @property
    def decoder(self) -> Decoder:
        """The tiny language model, built once."""
        if self._shared.part is None:
            self._shared.part = decoder(save_decoder(self.folder / "decoder"))
        part: Decoder = self._shared.part
        return part

    def check_type(self, part: Any) -> None:
        """Refuse what is no projector."""
        self.expect_instance(part, Projector)

    @needs("builds")
    def test_width(self) -> None:
        """Audio tokens are (B,A,H), H the language model's width, finite, and fp32 of fp32 frames."""
        audio = self._audio(self.seeded(), self._frames(9, 20))
        shape, width = tuple(audio.values.shape), self.decoder.width
        right = len(shape) == 3 and shape[0] == 2 and shape[2] == width  # noqa: PLR2004
        self.expect(right, f"audio tokens of 2 clips are {shape}, expected (2,A,{width}): H is decoder.width")
        self.expect(all(row.isfinite().all() for row in audio.rows()), "audio tokens hold nan or infinity")
        kind = audio.values.dtype
        self.expect(
            kind == torch.float32, f"of float32 frames it makes {kind} tokens: keep to the type it was given"
        )

    @needs("width")
    def test_tokens_law(self) -> None:
        """`tokens(frames)` is the largest number of audio tokens that so many frames become."""
        projector = self.seeded()
        given = {length: self._counts(projector, length) for length in _LENGTHS}
        for length, found in given.items():
            said = projector.tokens(length)
            self.expect(
                said >= max(found),
                f"tokens({length}) says {said}, {length} frames became {max(found)} audio tokens: tokens() "
                "must be the largest number there can be",
            )
        fixed = all(len(set(found)) == 1 for found in given.values())
        for length, found in given.items():
            said = projector.tokens(length)
            self.expect(
                not fixed or said == found[0],
                f"tokens({length}) says {said}, {length} frames always became {found[0]} audio tokens: "
                "tokens() must be what can be reached",
            )

    @needs("tokens_law")
    def test_spans(self) -> None:
        """`spans` says in order where each audio token is heard, in units of `tokens`."""
        projector, frames = self.seeded(), self._frames(9, 20)
        audio = self._audio(projector, frames)
        rows = zip(projector.spans(frames, audio), audio.rows(), (9, 20), strict=True)
        for spans, tokens, length in rows:
            said = projector.tokens(length)
            self.expect(
                len(spans) == len(tokens)
                and list(spans) == sorted(spans)
                and all(0 <= start < end <= said for start, end in spans),
                f"spans() of {length} frames, {len(tokens)} audio tokens, are {spans}: expected one for each "
                f"token, in their order, from 0 to tokens({length}) = {said}",
            )

    @needs("determinism")
    def test_padding_invariance(self) -> None:
        """The audio tokens of a clip are the same with padding of any value as without."""
        projector = self.seeded()
        for length in (1, 6, 13):
            alone = self._frames(length)
            padded = Padded(torch.nn.functional.pad(alone.values, (0, 0, 0, 7), value=9.0), alone.lengths)
            one, other = (self._audio(projector, frames).rows()[0] for frames in (alone, padded))
            self.expect_close(
                one,
                other,
                f"a clip of {length} frames has other audio tokens with padding than without ({{}}): "
                "frames.mask says what is real",
            )

    @needs("determinism")
    def test_batch_invariance(self) -> None:
        """The audio tokens of a clip are the same among other clips of its length as alone."""
        projector, frames = self.seeded(), self._frames(9, 9, 9)
        for number, row in enumerate(self._audio(projector, frames).rows()):
            alone = Padded(frames.values[number : number + 1], frames.lengths[number : number + 1])
            message = (
                "in a batch a clip has other audio tokens than alone ({}): compute nothing over the batch"
            )
            self.expect_close(row, self._audio(projector, alone).rows()[0], message)

    @needs("determinism")
    def test_pooling(self) -> None:
        """With `pooling`, frames that are pooled beforehand become the same audio tokens."""
        projector, frames = self.seeded(), self._frames(9, 20)
        if projector.begins_with is None:
            msg = "it does not say that it begins with time pooling"
            raise SkipTest(msg)
        pooled = pool(projector.begins_with, frames)
        given = Pooled(pooled.values, pooled.lengths)
        self.expect_close(
            self._audio(projector, frames).zeroed().values,
            self._audio(projector, given).zeroed().values,
            "it says `pooling`, but pooled frames become other audio tokens ({}): use the frames for "
            "nothing but pool(self.pooling, frames)",
        )

    @needs("width")
    def test_determinism(self) -> None:
        """In eval mode the same frames give the same audio tokens."""
        projector, frames = self.seeded(), self._frames(9, 20)
        one, other = self._audio(projector, frames), self._audio(projector, frames)
        message = (
            "in eval mode the same frames give other audio tokens the second time ({}): no noise, no dropout"
        )
        self.expect_close(one.zeroed().values, other.zeroed().values, message)

    @needs("builds")
    def test_groups(self) -> None:
        """`groups()` holds every trainable parameter exactly once, under names that have a learning rate."""
        projector = self.seeded()
        grouped = [id(parameter) for group in projector.groups().values() for parameter in group]
        trainable = {id(p): name for name, p in projector.named_parameters() if p.requires_grad}
        missing = [name for number, name in trainable.items() if number not in grouped]
        self.expect(not missing, f"{missing[:1]} is trainable but in no group: add it to groups()")
        once = len(grouped) == len(set(grouped)) and set(grouped) == set(trainable)
        self.expect(once, "groups() holds a parameter twice, or one that is not trained")
        self.expect_declared(projector.groups())

    @needs("width", "losses")
    def test_gradients(self) -> None:
        """Audio tokens and losses reach every parameter with a gradient, and the frames."""
        projector = self.seeded().train()
        frames = self._frames(24, 30)
        frames.values.requires_grad_()
        audio, own = projector(frames, self._answers())
        total = weighed(audio) + (0.0 if own is None else own) + sum(projector.losses().values())
        if total.requires_grad:
            backward(total)
        missing = without_gradient((n, p) for n, p in projector.named_parameters() if p.requires_grad)
        self.expect(not missing, f"no gradient reaches {missing[:1]}, so it never learns")
        reached = frames.values.grad is not None and frames.values.grad.any()
        self.expect(
            reached, "no gradient reaches the frames, so no adapter before it can learn: leave detach out"
        )

    @needs("width")
    def test_own_loss(self) -> None:
        """An own loss is one finite number, the same with audio tokens as without; `start_steps` need one."""
        projector, frames, answers = self.seeded(), self._frames(24, 30), self._answers()
        torch.manual_seed(1)
        beside = projector(frames, answers)[1]
        torch.manual_seed(1)
        alone = projector.loss(frames, answers)
        if projector.start_steps:
            self.expect(
                alone is not None,
                f"start_steps is {projector.start_steps}, but loss() gives none to train on",
            )
        self.expect(
            (beside is None) == (alone is None),
            "forward() with answers and loss() must both have a loss, or none",
        )
        if alone is not None and beside is not None:
            self.expect(
                alone.ndim == 0 and alone.isfinite(), f"loss() gave {alone}, expected one finite number"
            )
            self.expect_close(
                alone, beside, "loss() is another number than forward() gives with answers (by {})"
            )

    @needs("own_loss")
    def test_losses(self) -> None:
        """`losses()` has finite numbers with a gradient, under valid names, once for each forward pass."""
        projector = self.seeded().train()
        projector(self._frames(24, 30), self._answers())
        self.expect_losses(projector)

    @needs("determinism", "same_start")
    def test_begin(self) -> None:
        """`begin` looks at the data once, leaves everything finite and of its shape, and is repeatable."""
        one, other = self.seeded(1), self.seeded(1)
        before = {name: tensor.shape for name, tensor in one.state_dict().items()}
        for projector in (one, other):
            answers, pairs = iter([[2, 3, 4], [5, 6, 7]]), self._pairs(projector.begin_batches)
            projector.begin(answers, pairs)
            left = sum(1 for _ in pairs) if projector.begin_batches else 0
            self.expect(
                not left,
                f"begin_batches is {projector.begin_batches}, but begin() left {left} of them unseen",
            )
        shapes = {name: tensor.shape for name, tensor in one.state_dict().items()}
        self.expect(
            shapes == before,
            "begin() changed the names or shapes of what is saved: a resume could not load it",
        )
        broken = [n for n, t in one.state_dict().items() if t.is_floating_point() and not t.isfinite().all()]
        self.expect(not broken, f"after begin() {broken[:1]} holds nan or infinity")
        different = same_tensors(one, other)
        self.expect(
            not different,
            f"begin() on the same data gave another {different[:1]}: draw nothing at random there",
        )

    @needs("begin", "own_loss")
    def test_extend(self) -> None:
        """`extend` leaves trained tensors and all shapes as they are; the own loss takes the new answers."""
        projector, unchanged = self.seeded(1), self.seeded(1)
        for each in (projector, unchanged):
            each.begin(iter([[2, 3, 4], [5, 6, 7]]), self._pairs(each.begin_batches))
        projector.extend(iter([[8, 9], [2]]))
        trained = dict(unchanged.named_parameters())
        moved = [n for n, p in projector.named_parameters() if not torch.equal(p, trained[n])]
        self.expect(
            not moved, f"extend() changed {moved[:1]}, which the adapter has learned: leave what is trained"
        )
        shapes = [{n: t.shape for n, t in p.state_dict().items()} for p in (projector, unchanged)]
        self.expect(
            shapes[0] == shapes[1],
            "extend() changed the names or shapes of what is saved: a resume could not load it",
        )
        answers = Padded.stack([torch.tensor([8, 9]), torch.tensor([2])])
        try:
            loss = projector.loss(self._frames(24, 30), answers)
        except Exception as error:  # a plugin may raise anything
            msg = (
                f"after extend() loss() of an answer that it was given raised {described(error)}: take in "
                "there what begin() takes from the answers"
            )
            raise self.wrong(msg) from error
        self.expect(
            loss is None or loss.isfinite(), f"after extend() loss() gave {loss}, expected a finite number"
        )

    @needs("builds")
    def test_same_start(self) -> None:
        """The same seed gives the same initial weights."""
        different = same_tensors(self.seeded(3), self.seeded(3))
        self.expect(
            not different, f"{different[:1]} differs between two builds of one seed: draw it from torch alone"
        )

    @needs("begin")
    def test_state(self) -> None:
        """What is saved is all there is: loaded into another one, the audio tokens are the same."""
        projector, other = self.seeded(1), self.seeded(2)
        projector.begin(iter([[2, 3, 4], [5, 6, 7]]), self._pairs(projector.begin_batches))
        other.load_state_dict(projector.state_dict())
        for length in (6, 13):
            one, two = (self._audio(which, self._frames(length)).values for which in (projector, other))
            message = (
                "loaded from its saved tensors it gives other audio tokens ({}): hold tensors as "
                "parameters or buffers"
            )
            self.expect_close(one, two, message)

    def _frames(self, *lengths: int, seed: int = 0) -> Padded:
        return Padded.stack([numbers(n, self.width, seed=seed + place) for place, n in enumerate(lengths)])

    def _answers(self) -> Padded:
        return Padded.stack([torch.tensor([2, 3, 4]), torch.tensor([5, 6])])

    def _pairs(self, batches: int) -> Iterator[tuple[Padded, Padded]]:
        return ((self._frames(24, 30, seed=10 + number), self._answers()) for number in range(batches))

    @torch.no_grad()
    def _audio(self, projector: Projector, frames: Padded) -> Padded:
        audio: Padded = projector(frames)[0]
        return audio

    def _counts(self, projector: Projector, length: int) -> list[int]:
        """Return the numbers of audio tokens that several clips of a length become."""
        counts: list[int] = self._audio(projector, self._frames(*[length] * 4)).lengths.tolist()
        return counts

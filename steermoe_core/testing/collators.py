"""The checks of a collator: every row in its place, every answer whole and ended, texts that come back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from steermoe_core.data.audio.waveform import load
from steermoe_core.data.collator import Collator
from steermoe_core.data.example import Example
from steermoe_core.data.token_limit import Room
from steermoe_core.errors import DataError
from steermoe_core.testing.config import TinyConfig
from steermoe_core.testing.modules import ModuleSuite
from steermoe_core.testing.parts import TinyEncoder
from steermoe_core.testing.suite import Suite, needs
from steermoe_core.testing.tiny import DIGITS, RATE, tokenizer, write_wav

if TYPE_CHECKING:
    from collections.abc import Sequence

    from steermoe_core.data.layout import Batch

#: Words of the answers of the long examples: within any limit, around the small room's, beyond any.
_WORDS = (1, 20, 35, 36, 37, 38, 39, 40, 41, 45, 60, 447, 448, 449, 900)
_PARTS = ("before", "after", "answer")


class CollatorSuite(Suite):
    """Checks of a `Collator`, with a word-level tokenizer that knows the digits in words.

    A collator that wants more of its examples than a text (a prompt of their own) overrides `example`.
    """

    kind = "collator"
    setup_method, teardown_method = ModuleSuite.setup_method, ModuleSuite.teardown_method
    expect_close = ModuleSuite.expect_close

    def context(self, room: Room | None = None) -> Sequence[Any]:
        """Return tokenizer, features, rate, seed and room."""
        encoder = TinyEncoder(TinyConfig())
        return (tokenizer(), encoder.features, encoder.sample_rate, 3, room or Room())

    def check_type(self, part: Any) -> None:
        """Refuse what is no collator."""
        self.expect_instance(part, Collator)

    def example(self, name: str, text: str, seconds: float) -> Example:
        """Return an example with a tone of so many seconds and a text of digits in words."""
        audio = self.folder / f"{seconds:g}.wav"
        if not audio.exists():
            write_wav(audio, seconds)
        return Example(id=name, audio=audio, text=text, seconds=seconds)

    def examples(self) -> list[Example]:
        """Return a few examples of several lengths."""
        texts = ("one", "two three", "seven four zero nine", "five five")
        return [self.example(f"clip-{n}", text, 0.3 + 0.1 * n) for n, text in enumerate(texts)]

    @needs("builds")
    def test_batch(self) -> None:
        """A batch has a row an example in their order, ids as int64, and the seconds of each clip."""
        examples = self.examples()
        batch = self._collator().collate(examples)
        names = [example.id for example in examples]
        self.expect(list(batch.ids) == names, f"the ids of the batch are {list(batch.ids)}, expected {names}")
        for part in ("features", *_PARTS):
            padded = getattr(batch, part)
            self.expect(
                len(padded) == len(names), f"batch.{part} has {len(padded)} rows for {len(names)} examples"
            )
            if part != "features":
                kind = padded.values.dtype
                self.expect(kind == torch.int64, f"batch.{part} holds {kind}, expected token ids as int64")
        wanted = torch.tensor([example.seconds for example in examples])
        self.expect_close(
            batch.seconds.float(), wanted, "batch.seconds differ from those of the clips (by {})"
        )

    @needs("determinism")
    def test_rows(self) -> None:
        """A row of a batch is what its example alone gives."""
        collator, examples = self._collator(), self.examples()
        together = collator.collate(examples)
        for number, example in enumerate(examples):
            alone = collator.collate([example])
            for part in _PARTS:
                one, other = (_row(batch, part, at) for batch, at in ((together, number), (alone, 0)))
                message = f"in a batch batch.{part} of {example.id} is {one}, alone {other}: rows may not mix"
                self.expect(one == other, message)
            rows = together.features.rows()[number], alone.features.rows()[0]
            self.expect_close(
                *rows, f"in a batch the features of {example.id} are others than alone (by {{}})"
            )

    @needs("batch")
    def test_answer_ends(self) -> None:
        """Each answer is the example's tokens and then an end token, which stands nowhere else."""
        collator, examples = self._collator(), self.examples()
        batch = collator.collate(examples)
        ends = {*batch.ends, tokenizer().eos_token_id}
        for number, example in enumerate(examples):
            answer, wanted = _row(batch, "answer", number), collator.reference(example)
            ended = bool(answer) and answer[-1] in ends
            self.expect(
                ended,
                f"the answer {answer} of {example.id} has no end token: end it with one of {sorted(ends)}",
            )
            self.expect(
                answer[:-1] == wanted,
                f"the answer of {example.id} is {answer[:-1]} before its end, but reference() gives {wanted}",
            )
            self.expect(
                not ends & set(answer[:-1]), f"the answer of {example.id} holds an end token before its end"
            )

    @needs("answer_ends")
    def test_long_answers(self) -> None:
        """An answer is learned whole with its end, or its example is left out and counted; none is cut."""
        rooms = (Room(64, lambda seconds: math.ceil(5 * seconds)), Room())
        for room in rooms:
            collator = self._collator(room)
            examples = [self.example(f"{n} words", _text(n), 0.4) for n in _WORDS]
            kept, report = collator.fitting(examples)
            counted = report.total == len(examples) and report.kept == len(kept)
            self.expect(
                counted,
                f"fitting() kept {len(kept)} of {len(examples)}, its report says {report.kept} of "
                f"{report.total}",
            )
            for example in examples:
                self._check_whole(collator, example, required=example in kept)

    @needs("batch")
    def test_unanswered(self) -> None:
        """With `answered=False` there are no answers, and no text is too long."""
        examples = [*self.examples(), self.example("900 words", _text(900), 0.4)]
        lengths = self._collator().collate(examples, answered=False).answer.lengths.tolist()
        self.expect(
            not any(lengths), f"with answered=False answers of {lengths} tokens are given away, expected none"
        )

    @needs("determinism", "unanswered")
    def test_prompt_batch(self) -> None:
        """Bare waveforms are laid out as their examples are for generation."""
        collator = self._collator()
        example = self.examples()[0]
        prompts = None if example.prompt is None else [example.prompt]
        waiting = collator.collate([example], answered=False)
        bare = collator.prompt_batch([load(example.audio, RATE)], prompts)
        for part in _PARTS:
            one, other = _row(waiting, part, 0), _row(bare, part, 0)
            self.expect(
                one == other, f"prompt_batch() has {other} as batch.{part}, collate(answered=False) {one}"
            )
        self.expect_close(
            waiting.features.values, bare.features.values, "prompt_batch() has other features (by {})"
        )

    @needs("determinism")
    def test_prompt_lengths(self) -> None:
        """`prompt_lengths()` counts the common prompt's tokens before and after the audio."""
        collator, example = self._collator(), self.examples()[0]
        if example.prompt is None:
            batch = collator.collate([example], answered=False)
            found = tuple(len(_row(batch, part, 0)) for part in ("before", "after"))
            said = tuple(collator.prompt_lengths())
            self.expect(
                said == found,
                f"prompt_lengths() says {said}, a batch has {found} tokens before and after the audio",
            )

    @needs("batch")
    def test_shared(self) -> None:
        """All rows of a batch begin with its `shared` tokens."""
        batch = self._collator().collate(self.examples())
        common, shortest = batch.shared_before(), int(batch.before.lengths.min())
        fits = 0 <= batch.shared <= shortest
        self.expect(
            fits, f"batch.shared is {batch.shared}, but a row has only {shortest} tokens before its audio"
        )
        for number in range(len(batch)):
            row = _row(batch, "before", number)[: batch.shared]
            self.expect(
                row == common,
                f"batch.shared is {batch.shared}, but row {number} begins with {row}, not {common}",
            )

    @needs("answer_ends")
    def test_hypothesis(self) -> None:
        """`hypothesis` gives an answer's text back, and hears nothing behind its end."""
        collator = self._collator()
        for example in self.examples():
            answer = _row(collator.collate([example]), "answer", 0)
            for ids in (answer, answer[:-1], [*answer, *answer]):
                found = collator.hypothesis(ids)
                self.expect(
                    found == example.text,
                    f"hypothesis({ids}) gives {found!r}, expected {example.text!r}, the text of {example.id}",
                )

    @needs("batch")
    def test_determinism(self) -> None:
        """The same examples give the same batch, from another collator of the same seed too."""
        examples = self.examples()
        torch.manual_seed(1)
        one = self._collator().collate(examples)
        torch.manual_seed(2)
        other = self._collator().collate(examples)
        for part in _PARTS:
            for number, example in enumerate(examples):
                first, second = _row(one, part, number), _row(other, part, number)
                message = (
                    f"the same seed gave {first} and {second} as batch.{part} of {example.id}: draw with the "
                    "seed alone"
                )
                self.expect(first == second, message)

    def _collator(self, room: Room | None = None) -> Collator:
        collator: Collator = self._built(self.selection(), *self.context(room))
        return collator

    def _check_whole(self, collator: Collator, example: Example, *, required: bool) -> None:
        """Refuse a batch with an answer that was cut; one that is refused is right unless it is required."""
        wanted = collator.reference(example)
        try:
            answer = _row(collator.collate([example]), "answer", 0)
        except DataError as error:
            self.expect(not required, f"fitting() keeps {example.id}, but collate() refuses it: {error}")
            return
        whole = answer[:-1] == wanted and len(answer) == len(wanted) + 1
        self.expect(
            whole,
            f"of an answer of {len(wanted)} tokens and an end, {len(answer)} are learned: raise DataError, "
            "or leave the example out in fitting(); a cut answer teaches never to end",
        )


def _text(words: int) -> str:
    return " ".join(DIGITS[number % len(DIGITS)] for number in range(words))


def _row(batch: Batch, part: str, number: int) -> list[int]:
    row: list[int] = getattr(batch, part).rows()[number].tolist()
    return row

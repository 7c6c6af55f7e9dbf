"""`python -m steermoe_pocket.distil`, small: a teacher that tells pitch, clips of tones."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

from steermoe_conformer.config import ConformerConfig
from steermoe_conformer.encoder import ConformerEncoder
from steermoe_core.data.example import Example
from steermoe_core.data.padded import Padded
from steermoe_pocket.config import WeightsConfig
from steermoe_pocket.conformer import conformer_tiny
from steermoe_pocket.distil import __main__ as command
from steermoe_pocket.distil import export, probe, training
from steermoe_pocket.distil.settings import Settings, parse
from steermoe_pocket.distil.stream import BINS, Lesson, Lessons, batches, masked, noisy, varied
from steermoe_pocket.distil.student import CHARACTERS, Student, Tokens, read
from steermoe_pocket.distil.training import Training, learning_rate
from tests.tiny import sine, write_wav

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ("ab", "ba", "a b", "bb", "aa", "b")
SMALL = ("--batch=2", "--width=8", "--layers=1", "--heads=2", "--kernel=3", "--warmup=2", "--human=2")
TARGET = 5


class PlainTeacher:
    """Gives 25 frames a second of five numbers each, which grow with the pitch."""

    width = TARGET

    def __init__(self, *, bf16: bool = False) -> None:
        pass

    def __call__(self, waves: list[np.ndarray]) -> Padded:
        windows = [torch.from_numpy(wave[: len(wave) // 640 * 640].reshape(-1, 640)) for wave in waves]
        powers = torch.arange(1, 1 + TARGET)
        steepness = [window.diff().abs().mean(1) / window.abs().mean(1) for window in windows]
        return Padded.stack([row[:, None] * powers for row in steepness])


@pytest.fixture(autouse=True)
def _school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace Whisper, the speech and the language model's tokenizer."""
    tokenizer = by_character({" ": 0, "a": 1, "b": 2})

    def clips(source: str, split: str, _settings: Settings) -> list[Example]:
        found = []
        for number, text in enumerate(WORDS):
            path = tmp_path / source / split / f"{number}.wav"
            write_wav(path, seconds=0.3 + 0.1 * number, hertz=200.0 + 50 * number)
            found.append(Example(id=path.stem, audio=path, text=text, seconds=0.3 + 0.1 * number))
        return found

    monkeypatch.setattr(training, "clips", clips)
    monkeypatch.setattr(training, "Teacher", PlainTeacher)
    monkeypatch.setattr(training, "tokenizer", lambda: tokenizer)
    monkeypatch.setattr(probe, "_STEPS", 5)


def by_character(ids: dict[str, int]) -> Tokenizer:
    """Return a tokenizer whose tokens are characters."""
    tokenizer = Tokenizer(WordLevel(ids, unk_token=" "))  # noqa: S106  # no password
    tokenizer.pre_tokenizer = Split(Regex("."), "isolated")
    return tokenizer


def distil(tmp_path: Path, *flags: str) -> int:
    """Run the command in this process."""
    places = ["--folder", str(tmp_path / "state"), "--out", str(tmp_path / "weights"), "--workers", "0"]
    return command.main([*places, *SMALL, *flags])


def journal(tmp_path: Path) -> list[dict[str, Any]]:
    """Return what was written of the held-out clips."""
    return [json.loads(line) for line in (tmp_path / "state" / "journal.jsonl").read_text().splitlines()]


def test_it_writes_weights_that_the_encoder_loads(tmp_path: Path) -> None:
    """In fp16, with the statistics of the training features, and a card of held-out figures."""
    assert distil(tmp_path, "--steps", "4", "--save-every", "2") == 0

    encoder = ConformerEncoder(ConformerConfig(weights=str(tmp_path / "weights"), dtype="auto"))
    card = json.loads((tmp_path / "weights" / "card.json").read_text())
    assert (encoder.width, encoder.layers) == (8, 1)
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float16}
    assert encoder.mean.dtype == torch.float32
    assert encoder.mean.any()
    assert card["parameters"] == sum(parameter.numel() for parameter in encoder.parameters())
    assert card["command"].startswith("python -m steermoe_pocket.distil --steps 4 --batch 2")
    assert set(card["dev"]) == {"synthetic", "human"}
    assert set(card["linear_probe"]) == {"student", "teacher"}
    assert [line["step"] for line in journal(tmp_path)] == [2, 4]


def test_training_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupted training ends with the weights of one that was not interrupted."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert distil(whole, "--steps", "6", "--save-every", "3") == 0

    learn = Training._learn

    def interrupted(self: Training, lesson: Lesson) -> None:
        if self.step == 4:
            raise KeyboardInterrupt
        learn(self, lesson)

    monkeypatch.setattr(Training, "_learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        distil(cut, "--steps", "6", "--save-every", "3")
    monkeypatch.setattr(Training, "_learn", learn)
    assert distil(cut, "--steps", "6", "--save-every", "3") == 0

    states = [torch.load(each / "state" / "state.pt", weights_only=True)["student"] for each in (whole, cut)]
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], msg=name)


def test_weights_can_be_written_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--export` writes the last state's weights and trains no further."""
    distil(tmp_path, "--steps", "4")
    monkeypatch.setattr(Training, "run", lambda _self: pytest.fail("trained"))

    assert distil(tmp_path, "--steps", "4", "--export") == 0


def test_another_training_is_not_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other settings in the same folder are refused with a sentence."""
    distil(tmp_path, "--steps", "2")

    assert distil(tmp_path, "--steps", "2", "--rate", "0.1") == 4
    assert "holds a training with other settings" in capsys.readouterr().err


def test_nothing_to_export_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder has no weights."""
    assert distil(tmp_path, "--export") == 4
    assert "holds no training" in capsys.readouterr().err


def test_it_can_start_from_the_carried_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their statistics; another shape is refused. The card has their hash."""
    assert distil(tmp_path / "first", "--steps", "2") == 0
    weights = tmp_path / "first" / "weights"
    monkeypatch.setattr(training, "conformer_tiny", lambda _config: weights)
    monkeypatch.setattr(export, "conformer_tiny", lambda _config: weights)

    assert distil(tmp_path / "second", "--steps", "2", "--carried", "1", "--rate", "0") == 0
    assert distil(tmp_path / "other", "--steps", "2", "--carried", "1", "--width", "16") == 4

    first, second = (
        load_file(tmp_path / each / "weights" / "model.safetensors") for each in ("first", "second")
    )
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], msg=name)
    card = json.loads((tmp_path / "second" / "weights" / "card.json").read_text())
    carried = card["started_from"]
    assert carried["sha256"] == hashlib.sha256((weights / "model.safetensors").read_bytes()).hexdigest()
    assert carried["card"] == json.loads((weights / "card.json").read_text())


def test_student_learns(tmp_path: Path) -> None:
    """Sixty steps explain most of what the teacher gives for clips that were not heard."""
    distil(tmp_path, "--steps=60", "--save-every=60", "--rate=0.003", "--dropout=0", "--mask=0")

    assert journal(tmp_path)[-1]["human"]["explained"] > 0.5


def test_every_clip_comes_once_an_epoch() -> None:
    """In batches of like length, the same for the same seed."""
    seconds = np.random.default_rng(0).uniform(1, 9, 50)
    settings = Settings(steps=14, batch=8)

    found = batches(settings, seconds)

    assert found == batches(settings, seconds) != batches(Settings(steps=14, batch=8, seed=1), seconds)
    assert sorted(number for batch in found[:7] for number in batch) == list(range(50))
    assert found[:7] != found[7:]
    assert max(np.ptp(seconds[batch]) for batch in found) < np.ptp(seconds) / 2


def test_a_step_has_one_lesson(tmp_path: Path) -> None:
    """Whoever asks for a step's lesson, and whenever, gets the same."""
    school = Training(parse([*SMALL, "--workers", "0", "--folder", str(tmp_path)]))
    one, two = (Lessons(school.settings, school.lessons.clips, PlainTeacher())[3] for _ in range(2))

    assert torch.equal(one.features.values, two.features.values)
    assert torch.equal(one.targets.values, two.targets.values)


def test_variations_change_the_sound_and_noise_only_what_the_student_hears() -> None:
    """Speed changes the length; noise comes to half of the clips."""
    wave, chance = sine(1.0), np.random.default_rng(0)
    lengths = [len(varied(wave, chance)) for _ in range(40)]
    heard = [noisy(wave, chance) for _ in range(40)]

    assert 16_000 / 1.2 - 2 < min(lengths) < 14_500
    assert 17_500 < max(lengths) < 16_000 / 0.85 + 2
    assert 10 < sum(bool((each == wave).all()) for each in heard) < 30
    assert all(len(each) == len(wave) for each in heard)


def test_masks_cover_time_and_bins_up_to_twice_their_share() -> None:
    """Inside the clip; what is masked is its mean."""
    features = Padded(torch.arange(2 * 60 * BINS).view(2, 60, BINS).float(), torch.tensor([60, 40]))

    found = masked(features, 0.2, np.random.default_rng(0))

    for row, plain, length in zip(found.values, features.values, (60, 40), strict=True):
        covered = row != plain
        spans = covered[:length].all(1).sum()
        bands = covered[:length].all(0).sum()
        assert 0 < spans <= 0.4 * length
        assert 0 < bands <= 0.4 * BINS
        assert torch.equal(row[:length][covered[:length]].unique(), plain[:length].mean()[None])
        assert not covered[length:][:, ~covered[:length].all(0)].any()
    assert torch.equal(masked(features, 0.0, np.random.default_rng(0)).values, features.values)


def test_tokens_are_classes_of_the_training_texts() -> None:
    """Numbered from 1 on; the blank is 0."""
    tokens = Tokens(by_character({" ": 5, "a": 3, "b": 9, "c": 7}), ["ab", "b"])

    assert tokens.count == 4
    assert tokens("ba") == [2, 3, 1]


def test_a_student_that_gives_the_targets_has_no_error() -> None:
    """Errors are taken where student and teacher both have frames."""
    student = Student(Settings(width=8, layers=1, heads=2, kernel=3), target=8, tokens=2)
    torch.nn.init.eye_(student.frames.weight)
    torch.nn.init.zeros_(student.frames.bias)
    rows = Padded.stack([torch.randn(5, 8), torch.randn(3, 8)])
    longer = Padded(torch.nn.functional.pad(rows.values, (0, 0, 0, 2), value=9.0), rows.lengths + 1)

    error, wanted = student.errors(Padded(longer.values, rows.lengths), longer)

    assert error.shape == wanted.shape == (8, 8)
    assert error.max() < 1e-6


def test_learning_rate_rises_and_falls() -> None:
    """A line up to the highest rate, half a cosine down to nothing."""
    settings = Settings(steps=110, warmup=10, rate=1.0)
    rates = [learning_rate(settings, step) for step in range(110)]

    assert rates[0] == 0.1
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[60] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.001


def test_reading_drops_blanks_and_repetitions() -> None:
    """As CTC spells: a blank between two equal letters keeps both."""
    classes = [0, *(1 + CHARACTERS.index(c) for c in "aab"), 0, 1 + CHARACTERS.index("b"), 1]
    logits = torch.nn.functional.one_hot(torch.tensor([classes, classes]), 1 + len(CHARACTERS)).float()

    assert read(logits, Padded(logits, torch.tensor([7, 3]))) == ["abb", "a"]


def test_shipped_weights_are_a_conformer() -> None:
    """The package carries them, at most 16 MiB, with the card of the run that made them."""
    folder = conformer_tiny(WeightsConfig())
    card = json.loads((folder / "card.json").read_text("utf-8"))
    encoder = ConformerEncoder(ConformerConfig(weights=str(folder)))

    assert (folder / "model.safetensors").stat().st_size <= 16 * 2**20
    assert card["parameters"] == sum(parameter.numel() for parameter in encoder.parameters())
    assert encoder.layers == card["settings"]["layers"]
    assert encoder(encoder.features([sine(1.0)])).values.isfinite().all()

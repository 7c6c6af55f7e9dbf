"""A run that starts from an adapter: a soft-CTC vocabulary grows, other shapes are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from safetensors.torch import load_file

from steermoe_core.run.folder.run_folder import RunFolder
from tests.rig import metrics, texts, trained
from tests.tiny import DIGITS, tokenizer, write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rig import Rig

SOFT = 'projector={use="soft-ctc", pool={kernel=2}, start_steps=6}'
LOW, HIGH = DIGITS[:5], DIGITS[5:]


@pytest.fixture
def adapter(rig: Rig, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a run on the words "zero" to "four"."""
    write_folder(rig.folder / "high", HIGH)
    write_folder(rig.folder / "low", LOW)
    run = rig.run(SOFT, 'data.train.path="low"')
    capsys.readouterr()
    return run


def further(adapter: Path, *sets: str, path: str = "high") -> tuple[str, ...]:
    """Return the settings of a run that starts from an adapter, by default on "five" to "nine"."""
    return (SOFT, f'adapter="{adapter}"', f'data.train.path="{path}"', *sets)


def vocabulary(run: Path) -> set[str]:
    """Return the words that the adapter file of a run can choose from."""
    chosen = load_file(RunFolder(run).adapter / "adapter.safetensors")["projector.vocabulary"]
    return set(tokenizer().convert_ids_to_tokens(chosen.nonzero().flatten().tolist()))


def test_new_words_join_the_old_ones(rig: Rig, adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All losses are those of a CTC, and the run says what was added."""
    run = rig.run(*further(adapter))

    assert vocabulary(adapter) == set(LOW)
    assert vocabulary(run) == set(DIGITS)
    assert all(line["loss"] > 0 for line in metrics(run) if "loss" in line)
    note = "projector: the adapter's vocabulary of 5 grows by 5: five, six, seven, eight, nine\n"
    assert note in capsys.readouterr().err


def test_known_words_add_nothing(rig: Rig, adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then there is nothing to say, and no word of the adapter is lost."""
    run = rig.run(*further(adapter, path="low"))

    assert vocabulary(run) == set(LOW)
    assert "projector:" not in capsys.readouterr().err


@pytest.mark.parametrize("steps", [0, 2])
def test_all_is_all(rig: Rig, adapter: Path, steps: int) -> None:
    """`vocabulary = "all"` holds for a run that starts from an adapter with fewer words, also untrained."""
    run = rig.run(*further(adapter, 'projector.vocabulary="all"', f"train.steps={steps}"))

    assert vocabulary(run) == set(tokenizer().get_vocab())


def test_scoring_alone_changes_nothing(rig: Rig, adapter: Path) -> None:
    """Without a step there are no training answers: the adapter is the one that it was."""
    run = rig.run(*further(adapter, "train.steps=0"))

    assert trained(run) == trained(adapter)
    assert texts(run) == texts(adapter)


def test_resumes_to_the_same_bits(
    rig: Rig,
    adapter: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The checkpoint has the grown vocabulary; it grows once."""
    monkeypatch.setenv("RIG", "interrupt@3")
    rig.run(*further(adapter), expect=130)
    monkeypatch.delenv("RIG")
    assert "vocabulary of 5 grows" in capsys.readouterr().err
    resumed = rig.run(*further(adapter))
    assert "vocabulary of 5 grows" not in capsys.readouterr().err
    rig.runs = tmp_path / "straight"

    assert trained(resumed) == trained(rig.run(*further(adapter)))


def test_other_shapes_are_refused(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """What differs, and what to do about it."""
    run = rig.run()
    capsys.readouterr()

    stacked = 'projector={use="linear", pool={kind="stack", kernel=3}}'
    rig.run(f'adapter="{run}"', stacked, expect=1)

    error = capsys.readouterr().err
    assert "projector.map.weight is " in error
    assert "leave the table [projector] out, or give it the settings" in error

"""A ladder's rungs are ordinary runs that differ in what is trained in the encoder, and in nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import tomli

from steermoe_core.cli.main import main
from steermoe_core.errors import UsageError
from steermoe_core.plugins import load_registry
from steermoe_core.study.compare import compare
from steermoe_core.study.ladder import Ladder
from tests.run.copies import put, say

if TYPE_CHECKING:
    from pathlib import Path

    from steermoe_core.study.jobs import Job
    from tests.rig import Rig

SPEAKING = ("encoder.use=speaking", "callbacks=[{use='steering-analysis'},{use='rig'}]")


def ladder(rig: Rig, *sets: str, seeds: tuple[int, ...] = (), block: tuple[str, ...] = ()) -> Ladder:
    """Return the ladder of the rig's experiment."""
    return Ladder(file=rig.file, overrides=sets, seeds=seeds, registry=load_registry(block))


def named(jobs: list[Job]) -> dict[str, Job]:
    """Return the jobs by their rungs."""
    return {job.settings["rung"]: job for job in jobs}


def table(job: Job) -> dict[str, Any]:
    """Return a rung's experiment."""
    return tomli.loads(job.toml)


def test_the_rungs(rig: Rig) -> None:
    """From the lowest on; each has the folder that `steermoe run` would use."""
    found = named(ladder(rig, *SPEAKING).jobs(rig.runs))

    assert list(found) == ["own decoder", "projection only", "static steering", "steering"]
    assert found["static steering"].folder.path == rig.path(*SPEAKING, "adapter.experts=1")
    assert found["steering"].folder.path == rig.path(*SPEAKING)
    assert found["own decoder"].folder.path == rig.path(*SPEAKING) / "own-decoder"
    assert [table(job)["adapter"]["use"] for job in found.values()] == [
        "steering", "none", "steering", "steering",
    ]  # fmt: skip


def test_rungs_differ_in_the_adapter_alone(rig: Rig, scored: Path) -> None:
    """A callback that needs gates is left out where there are none; nothing is uncontrolled."""
    found = named(ladder(rig, SPEAKING[1]).jobs(rig.runs))
    callbacks = {name: [one["use"] for one in table(job)["callbacks"]] for name, job in found.items()}
    assert callbacks["projection only"] == ["rig"]
    assert callbacks["steering"] == callbacks["static steering"] == ["steering-analysis", "rig"]

    paths = [put(scored, job.toml, job.folder.path) for job in found.values() if job.train]
    compared = compare(paths, load_registry())
    assert compared.warnings == []
    rates = {key for key in compared.settings if key.startswith("train.learning_rate.")}
    assert {key.split(".")[0] for key in compared.settings if key not in rates} == {"adapter", "callbacks"}


def test_lora_has_the_same_layers(rig: Rig) -> None:
    """And its own defaults for the rest; an encoder that says it has no linear maps has no such rung."""
    pytest.importorskip("steermoe_lora")
    some, all_of = (
        named(ladder(rig, *more).jobs(rig.runs))["LoRA"] for more in (("adapter.layers=[0, 2]",), ())
    )
    assert table(some)["adapter"]["layers"] == [0, 2]
    assert table(all_of)["adapter"]["layers"] == []


def test_rungs_that_there_are_not(rig: Rig) -> None:
    """No decoder of its own, no plugin for LoRA, a file that is static already."""
    found = ladder(rig, "adapter.experts=1", block=("lora",)).jobs(rig.runs)
    assert list(named(found)) == ["projection only", "steering"]


def test_seeds(rig: Rig) -> None:
    """Each rung that trains is run with each; the own decoder draws nothing."""
    jobs = ladder(rig, *SPEAKING, seeds=(3, 4), block=("lora",)).jobs(rig.runs)
    assert [(job.settings["rung"], job.settings["seed"]) for job in jobs] == [
        ("own decoder", None),
        ("projection only", 3), ("projection only", 4),
        ("static steering", 3), ("static steering", 4),
        ("steering", 3), ("steering", 4),
    ]  # fmt: skip


@pytest.mark.parametrize("adapter", ['{use="none"}', '"runs/trained"'])
def test_a_file_that_does_not_steer_has_no_ladder(rig: Rig, adapter: str) -> None:
    """It would have nothing at its top."""
    with pytest.raises(UsageError, match="a ladder needs one adapter that steers"):
        ladder(rig, f"adapter={adapter}", *(["projector={use='linear'}"] if "none" in adapter else [])).jobs(
            rig.runs
        )


def test_rows(rig: Rig, scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every rung against the projection alone, controls of the steering run beside; seeds are merged."""
    made = ladder(rig, *SPEAKING, seeds=(17, 18), block=("lora",))
    jobs = made.jobs(rig.runs)
    own, plain, _, _, _, steering, _ = jobs
    for job in (plain, *jobs[3:]):  # one seed of the projection is missing
        put(scored, job.toml, job.folder.path)
    say(plain.folder.path, "one", "two", "three", "four")
    for job in jobs[5:]:
        say(job.folder.path, "zero", "one", "two", "three")
    assert own.state == "waiting"
    assert main([str(word) for word in own.words]) == 0
    assert own.state == "finished"
    capsys.readouterr()

    rows = {row.label: row for row in made.rows(jobs) if row.split == "dev"}

    assert list(rows) == ["own decoder", "projection only", "static steering", "steering", "no-audio"]
    assert [row.seeds for row in rows.values()] == [[17], [17], [17, 18], [17, 18], [17, 18]]
    against = {name: row.metrics["wer"].against for name, row in rows.items()}
    assert against["steering"].value == -1.0
    assert against["projection only"] is None
    said = json.loads((steering.folder.evaluations / "dev" / "scores.json").read_text())
    control, silent = rows["no-audio"].metrics["wer"], said["controls"]["no-audio"]["wer"]
    assert (control.value, attrs.asdict(control.interval)) == (silent["value"], silent["interval"])
    assert against["no-audio"].value == pytest.approx(silent["value"] - 1.0)
    assert rows["own decoder"].trainable_parameters == 0
    assert against["own decoder"].verdict in {"better", "worse", "not distinguishable"}


def test_without_the_lowest_rung_nothing_is_compared(rig: Rig, scored: Path) -> None:
    """The scores are there all the same."""
    made = ladder(rig, block=("lora",))
    jobs = made.jobs(rig.runs)
    put(scored, jobs[-1].toml, jobs[-1].folder.path)

    rows = made.rows(jobs)

    assert {row.label for row in rows} == {"steering", "no-audio"}
    assert not any(row.metrics["wer"].against for row in rows)
    assert made.rows([]) == []

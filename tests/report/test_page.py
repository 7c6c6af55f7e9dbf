"""The page: one well-formed file, nothing fetched, nothing made up, and a word where there is nothing."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from steermoe_core.errors import SteermoeError, UsageError
from steermoe_core.plugins import load_registry
from steermoe_core.report.page import contents, page, report
from steermoe_core.system.records import plain
from tests.report.reading import Reading
from tests.report.shelf import ANSWERS, CERTIFICATES, ROUTING, layers, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.report.shelf import Shelf
    from tests.rig import Rig

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>alert('&amp;')</script> \"quoted\" <img src=x onerror=alert(1)>"
SECTIONS = (
    "ablation", "scores", "differences", "training", "clips", "lengths", "answers", "routing", "certificates",
    "settings", "environment",
)  # fmt: skip


def made(*runs: Path, audio: bool = True) -> str:
    """Return the page about some runs."""
    return page(contents(runs, load_registry(), audio=audio))


def facts(*runs: Path) -> dict[str, Any]:
    """Return what `--json` prints about some runs."""
    return plain(contents(runs, load_registry(), audio=False))


@pytest.fixture
def full(shelf: Shelf) -> Path:
    """Return a run that has all there is to report."""
    journal = [
        {"step": 1, "loss": 3.5, "seconds_per_step": 0.5, "validation": {"wer": 0.75}},
        {"step": 2, "steering": layers()},
        {"step": 2, "lora": [{"layer": 0, "map": "fc1", "a": 1.0, "b": 0.5, "relative": 0.02}]},
        {
            "step": 3,
            "loss": 2.5,
            "losses": {"balance": 0.25},
            "seconds_per_step": 0.5,
            "learning_rate": {"router": 1e-4},
            "gradient_norm": {"router": 0.3},
        },
    ]
    run = shelf.run(
        journal=journal,
        steering=layers(),
        left_out={"longer than 30 s": ["900.wav"]},
        pathologies={"loop": {"count": 1, "share": 1 / 6, "ids": ["002.wav"]}},
        length_ratio={"low": 0.0, "median": 1.0, "high": 1.5},
        probes=[{"sound": "silence", "seconds": 1.0, "hypothesis": "thanks for watching"}],
    )
    write(run / "evaluations" / "dev" / "routing.json", ROUTING)
    write(run / "certificates.json", CERTIFICATES)
    return run


def test_a_finished_run_has_its_page(rig: Rig) -> None:
    """`steermoe run` leaves it, of a real run, without sounds; the command puts them in."""
    finished = rig.run()
    html = (finished / "report" / "index.html").read_text(encoding="utf-8")

    found, scores = Reading(html), json.loads((finished / "evaluations" / "dev" / "scores.json").read_text())
    assert html == made(finished, audio=False)
    assert f"{scores['metrics']['wer']['value']:.3f}" in found.texts["scores"]
    assert "puts them in" in found.texts["clips"]
    assert len(re.findall("<audio", made(finished))) == 4 + 3
    for layer in scores["steering"]:
        assert f"{layer['entropy']:.2f}" in found.texts["routing"]


def test_all_sections_of_all_there_is(full: Path, shelf: Shelf) -> None:
    """Well-formed, no id twice, links lead to sections, drawings are told in words."""
    found = Reading(made(full, shelf.run("second")))

    ids = found.attributes("id")
    assert tuple(ids) == SECTIONS
    assert [link.removeprefix("#") for link in found.attributes("href")] == ids
    drawings = [attributes for tag, attributes in found.elements if tag == "svg"]
    assert all(one.get("aria-label") or one.get("aria-hidden") for one in drawings if "height" not in one)
    for words in (
        "thanks for watching", "mean-gates", "expert 3", "frozen-stayed-frozen", "longer than 30 s: 900.wav",
        "Added losses", "Validation WER", "Gate entropy", "Size of the low-rank change", "✕ fails",
        "○ not applicable",
    ):  # fmt: skip
        assert words in found.text


def test_nothing_comes_from_elsewhere(full: Path) -> None:
    """No script, no style sheet, no picture and no font of another place."""
    html = made(full)

    found = Reading(html)
    assert not {"script", "link", "img", "iframe", "object", "base"} & {tag for tag, _ in found.elements}
    assert all(source.startswith("data:audio/") for source in found.attributes("src"))
    assert all(link.startswith("#") for link in found.attributes("href"))
    assert "http" not in re.sub(r'src="[^"]*"', "", html)
    assert not re.search(r"url\(|@import", html)


def test_texts_are_shown_as_they_are(shelf: Shelf) -> None:
    """Whatever a model says or a file holds is text, never markup."""
    run = shelf.run(
        answers=[HOSTILE, *ANSWERS[1:]],
        metric="exact-match",
        probes=[{"sound": HOSTILE, "seconds": 1.0, "hypothesis": HOSTILE}],
        pathologies={HOSTILE: {"count": 1, "share": 0.5, "ids": [HOSTILE]}},
        left_out={HOSTILE: [HOSTILE]},
        steering=layers(),
    )
    write(
        run / "evaluations" / "dev" / "routing.json",
        {**ROUTING, "by": {HOSTILE: {HOSTILE: {"clips": 1, "layers": []}}}},
    )
    write(run / "certificates.json", {"certificates": [{"name": HOSTILE, "claim": HOSTILE, "passed": True}]})
    write(run / "lock.json", {"python": HOSTILE, "packages": {HOSTILE: HOSTILE}})
    write(run / "status.json", {"state": "failed", "error": HOSTILE})

    found = Reading(made(run))

    assert not {"script", "img"} & {tag for tag, _ in found.elements}
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    for section in ("", "scores", "clips", "answers", "routing", "certificates", "environment"):
        assert " ".join(HOSTILE.split()) in " ".join(found.texts[section].split()), section


def test_no_figure_is_made_up(full: Path) -> None:
    """Every number of what is told from files is in a file of the run folder, rounded."""
    found = Reading(made(full))

    known = {form for number in numbers(full) for form in forms(number)}
    for section in ("scores", "answers", "certificates"):
        told = re.sub(r"steermoe .*|95 %", "", found.texts[section])
        written = set(re.findall(r"\d[\d.,]*\d|\d", told))
        assert written
        assert written <= known, section


def test_the_command_behind_each_figure_is_documented(full: Path, shelf: Shelf) -> None:
    """What the page offers to make its figures again stands in the guide."""
    guide = (ROOT / "docs" / "how-to" / "read-the-report.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`((?:steermoe|cat) [^`]*)`", guide))
    runs = [full, shelf.run("second")]

    sections = contents(runs, load_registry(), audio=False).sections

    commands = [command for section in sections.values() for command in section.commands]
    for run in runs:
        commands = [command.replace(str(run), "RUN") for command in commands]
    assert set(sections) == {"overview", *SECTIONS}
    assert all(section.commands for section in sections.values())
    assert {command.replace("--split dev", "--split SPLIT") for command in commands} <= documented


def numbers(run: Path) -> Iterator[float]:
    """Yield every number in a run's files, those in names and texts too."""
    for path in sorted(run.rglob("*.json*")):
        for text in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", path.read_text(encoding="utf-8")):
            if math.isfinite(float(text)):  # hashes hold such as 12e9947
                yield float(text)


def forms(number: float) -> Iterator[str]:
    """Yield the ways in which the page writes a number."""
    yield from (f"{abs(number):.{places}f}" for places in range(5))
    yield f"{100 * number:.1f}"
    yield f"{round(abs(number)):,}"
    if number == int(number):
        yield f"{int(abs(number)):03d}"


def test_a_run_that_has_only_begun(shelf: Shelf) -> None:
    """Each section says that there is nothing yet, and the page says how to go on."""
    run = shelf.begun()

    found = Reading(made(run))

    assert "not started" in found.text
    assert f"steermoe run {run}/experiment.toml" in found.text
    for section in (
        "scores",
        "training",
        "clips",
        "lengths",
        "answers",
        "routing",
        "certificates",
        "environment",
    ):
        assert re.search("No |no ", found.texts[section]), section
    assert "nowhere/whisper" in found.texts["settings"]


def test_a_run_that_is_in_the_middle(shelf: Shelf) -> None:
    """Curves so far, the step, how long it has taken; a failed one says why it stopped."""
    run = shelf.begun()
    (run / "metrics.jsonl").write_text('{"step": 3, "loss": 5.5}\n{"step": 4, "loss": 4.5}\n{"step": 5, "lo')
    times = {"started": "2026-01-01T10:00:00+00:00", "updated": "2026-01-01T10:00:42+00:00"}
    write(run / "status.json", {"state": "running", "step": 4, **times})

    found = Reading(made(run))

    assert all(words in found.text for words in ("▸ running", "4 of 8", "42 s so far", "Loss"))
    write(run / "status.json", {"state": "failed", "step": 4, "error": "the loss is no number", **times})
    assert "the loss is no number" in Reading(made(run)).text


def test_several_runs_stand_side_by_side(shelf: Shelf) -> None:
    """One row each, the paired difference in words, the settings that differ and no others."""
    good = shelf.run("good", ["zero", "one", "two", "three", "four", "five"])
    bad = shelf.run("bad", ["nought", "none", "too", "tree", "for", "hive"], "train.batch_size=7")

    said, found = facts(good, bad), Reading(made(good, bad))

    assert "2 runs side by side" in found.text
    (row,) = said["differences"]["rows"]
    assert (row["value"], row["verdict"]) == (1.0, "worse")
    assert "bad is worse than good on 6 clips of dev." in " ".join(found.texts["differences"].split())
    assert [one["key"] for one in said["settings"]["differing"]] == ["experiment.name", "train.batch_size"]
    assert [
        [answer["run"] for answer in clip["answers"]] for clip in said["clips"]["splits"][0]["worst"]
    ] == [["good", "bad"]] * 6


def test_runs_that_cannot_be_compared(shelf: Shelf) -> None:
    """Scored on other clips, one scored alone, or the same but for the seed: a sentence, no figures."""
    first, short = shelf.run(), shelf.run("short", ANSWERS[:3])
    seed = shelf.run("first", ANSWERS, "experiment.seed=18")

    def missing(*runs: Path) -> str:
        return str(facts(*runs)["differences"]["missing"])

    assert "are in one run only" in missing(first, short)
    assert missing(first, shelf.begun("new")) == "There are no two runs with scores."
    assert missing(first, seed) == "The runs differ only in the seed."
    third = facts(first, seed, shelf.run("third"))["differences"]
    assert third["against"] == "first (seeds 17, 18)"
    assert third["commands"][0].count("--against") == 2
    Reading(made(first, short, seed))


def test_runs_of_one_name_are_told_apart(shelf: Shelf) -> None:
    """By what differs between them; and one that is named twice is read once."""
    first, seed = shelf.run(), shelf.run("first", ANSWERS, "experiment.seed=18")

    assert contents([first, seed, first], load_registry()).runs == ["first, seed 17", "first, seed 18"]


def test_an_ablation_table(shelf: Shelf) -> None:
    """Settings that were varied, in order; seeds merged; each score with its interval and extremes."""
    right = ["zero", "one", "two", "three", "four", "five"]
    runs = [
        shelf.run("one", answers, f"train.batch_size={batch}", f"experiment.seed={seed}")
        for batch, seed, answers in ((16, 17, ANSWERS), (2, 17, ANSWERS), (2, 18, right))
    ]

    said = facts(*runs)["ablation"]
    (table,) = said["tables"]
    shown = " ".join(Reading(made(*runs)).texts["ablation"].split())

    assert said["settings"] == ["batch_size"]
    assert [(row["settings"], row["seeds"]) for row in table["rows"]] == [(["2"], [17, 18]), (["16"], [17])]
    two, sixteen = (row["metrics"]["wer"] for row in table["rows"])
    assert (two["lowest"], two["highest"]) == (0.0, sixteen["value"])
    assert two["interval"]["low"] <= two["value"] <= two["interval"]["high"]
    assert f"[0.000 – {two['highest']:.3f}]" in shown
    assert "batch_size seeds trained parameters WER 2 17, 18" in shown


def test_an_ablation_in_many_settings(shelf: Shelf) -> None:
    """Rows have their names then; the section about settings has the rest."""
    other = [
        "train.batch_size=2",
        "train.warmup=3",
        "train.save_every=2",
        "train.clip=3.0",
        "train.threads=1",
    ]
    runs = [shelf.run(), shelf.run("first", ANSWERS, *other)]

    said = facts(*runs)["ablation"]

    assert said["settings"] == ["run"]
    assert [row["settings"] for row in said["tables"][0]["rows"]] == [[run.name] for run in runs]


def test_answers_that_are_right_or_wrong(shelf: Shelf) -> None:
    """An accuracy: the accepted answers, the one given, what a constant would have scored."""
    run = shelf.run(metric="exact-match")

    found = Reading(made(run))

    assert "best constant answer “five” 0.167" in " ".join(found.texts["scores"].split())
    assert "higher is better" in found.texts["scores"]
    assert "✕ won" in " ".join(found.texts["clips"].split())
    assert "3 of 6 points missed" in " ".join(found.texts["lengths"].split())


@pytest.mark.parametrize(
    "file", ["evaluations/dev/scores.json", "evaluations/dev/routing.json", "lock.json", "certificates.json"]
)
def test_damaged_files(shelf: Shelf, file: str) -> None:
    """One sentence that names the file."""
    run = shelf.run()
    (run / file).write_text('{"split": ')

    with pytest.raises(
        SteermoeError, match=rf"{file} (cannot be read|is damaged) .*; (.*move it away|score the run again)"
    ):
        made(run)


def test_a_big_run_is_a_small_page(shelf: Shelf) -> None:
    """Thousands of steps, 32 layers of 64 experts, answers that never end: less than 5 MB, with sounds."""
    journal: list[dict[str, Any]] = [
        {
            "step": step,
            "loss": 1 + (step * 7919 % 100) / 50,
            "gradient_norm": {f"g{n}": step * 0.1 for n in range(6)},
        }
        for step in range(1, 5001)
    ]
    journal += [{"step": 5000 + step, "steering": layers(32, 64)} for step in range(0, 100, 10)]
    run = shelf.run(answers=["again " * 2000] * 6, journal=journal, steering=layers(32, 64))

    html = made(run)

    assert len(html.encode()) < 3_000_000
    assert "… and 1,880 more" in Reading(html).text


def test_the_page_takes_the_place_of_an_older_one_whole(shelf: Shelf) -> None:
    """Where it can't be written, the sentence says so and nothing is left over."""
    run, place = shelf.run(), shelf.place / "pages" / "first.html"
    report([run], load_registry(), place, audio=False)
    before = place.read_text(encoding="utf-8")

    report([run], load_registry(), place, audio=False)

    assert place.read_text(encoding="utf-8") == before
    for wrong in (place.parent, place / "below.html"):
        with pytest.raises(UsageError, match=rf"cannot be written to {wrong} \(.*; choose another place"):
            report([run], load_registry(), wrong, audio=False)
    assert [path.name for path in place.parent.iterdir()] == ["first.html"]

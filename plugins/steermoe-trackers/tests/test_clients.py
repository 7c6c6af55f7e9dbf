"""A run that was killed and resumed, read back from every tracker by its own library."""

from __future__ import annotations

import io
import json
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
import tomli

import steermoe_trackers
from steermoe_trackers.content import Figures, Run
from steermoe_trackers.tracker import State

if TYPE_CHECKING:
    from collections.abc import Iterator


LAYER = ("entropy", "usage_entropy", "effective", "dead", "scale", "relative_norm")


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def wanted_figures(run: Path) -> dict[int, dict[str, float]]:
    """Return the figures of metrics.jsonl and of every scores.json, by step."""
    found: dict[int, dict[str, float]] = {}
    for line in lines(run / "metrics.jsonl"):
        figures = found.setdefault(line["step"], {})
        if "loss" in line:
            figures["train/loss"] = line["loss"]
            figures["train/seconds_per_step"] = line["seconds_per_step"]
            for key in ("learning_rate", "gradient_norm"):
                figures |= {f"{key}/{group}": value for group, value in line[key].items()}
        for layer in line.get("steering", ()):
            place = f"steering/layer_{layer['layer']}"
            figures |= {f"{place}/{key}": float(layer[key]) for key in LAYER}
            figures |= {f"{place}/load/{expert}": load for expert, load in enumerate(layer["load"])}
    for split in ("dev", "other"):
        scores = json.loads((run / "evaluations" / split / "scores.json").read_text())
        groups = {split: scores["metrics"]}
        groups |= {f"{split}/{control}": metrics for control, metrics in scores["controls"].items()}
        for group, metrics in groups.items():
            for metric, score in metrics.items():
                found[6][f"eval/{group}/{metric}"] = score["value"]
                for end, value in (score["interval"] or {}).items():
                    found[6][f"eval/{group}/{metric}_{end}"] = value
    return found


def wanted_clips(run: Path, split: str) -> list[dict[str, Any]]:
    """Return the two worst clips of a split."""
    rows = lines(run / "evaluations" / split / "predictions.jsonl")
    errors = {row["id"]: sum(row["edits"]["wer"][:3]) for row in rows}
    worst = sorted(
        (row for row in rows if errors[row["id"]]), key=lambda row: (-errors[row["id"]], row["id"])
    )
    return [
        {
            "id": row["id"],
            "errors": errors[row["id"]],
            "reference": row["reference"],
            "hypothesis": row["hypothesis"],
        }
        for row in worst[:2]
    ]


def sound(run: Path, clip: dict[str, Any]) -> tuple[int, float]:
    """Return the samples and the peak of a clip's own file, which has 16 kHz."""
    split = "dev" if any(clip == one for one in wanted_clips(run, "dev")) else "other"
    (path,) = run.parents[1].joinpath(split).rglob(clip["id"].rpartition("/")[2] + "*")
    waveform, rate = soundfile.read(path)
    assert rate == 16_000
    return len(waveform), float(abs(waveform).max())


def assert_same(
    found: dict[int, dict[str, float]], wanted: dict[int, dict[str, float]], **how: float
) -> None:
    """Compare figures by step: the same names, and the same numbers."""
    assert list(found) == [1, 2, 3, 4, 5, 6]
    for step, figures in wanted.items():
        assert set(found[step]) == set(figures)
        assert found[step] == pytest.approx(figures, **how)


def without_time(figures: dict[int, dict[str, float]]) -> dict[int, dict[str, float]]:
    """Drop the pace: the killed run had another one in the step that it took."""
    return {
        step: {name: value for name, value in values.items() if name != "train/seconds_per_step"}
        for step, values in figures.items()
    }


def test_tensorboard(tracked: Path) -> None:
    """Scalars, audio and texts of both processes, each step once."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tracked / "tensorboard"), size_guidance={"audio": 0, "tensors": 0})
    events.Reload()

    found: dict[int, dict[str, float]] = {}
    for name in events.Tags()["scalars"]:
        steps = [one.step for one in events.Scalars(name)]
        assert len(steps) == len(set(steps)), name
        for one in events.Scalars(name):
            found.setdefault(one.step, {})[name] = one.value
    found = dict(sorted(found.items()))
    assert_same(without_time(found), without_time(wanted_figures(tracked)), rel=1e-6)
    for split in ("dev", "other"):
        clips = wanted_clips(tracked, split)
        for number, clip in enumerate(clips):
            (audio,) = events.Audio(f"clips/{split}/{number}")
            waveform, rate = soundfile.read(io.BytesIO(audio.encoded_audio_string))
            assert (len(waveform), rate) == (sound(tracked, clip)[0], 16_000)
        table = text(events, f"clips/{split}/text_summary")
        assert table.count("\n") == len(clips) + 1
        assert all(f"| {clip['id']} | {clip['errors']} | {clip['reference']} |" in table for clip in clips)
    for name in ("experiment.toml", "certificates.json"):
        sent = text(events, f"files/{name}/text_summary")
        assert [line[4:] for line in sent.splitlines()] == (tracked / name).read_text().splitlines()
    assert len(list((tracked / "tensorboard").iterdir())) == 2


def text(events: Any, tag: str) -> str:
    """Return the last text of a tag."""
    return str(events.Tensors(tag)[-1].tensor_proto.string_val[0].decode())


def test_trackio(tracked: Path) -> None:
    """One run of the local store, each step once."""
    trackio = pytest.importorskip("trackio", reason="trackio is not installed: pip install trackio")
    from trackio.sqlite_storage import SQLiteStorage
    from trackio.utils import MEDIA_DIR

    (run,) = trackio.Api().runs("tests")
    assert run.name == tracked.name
    assert run.config["train/steps"] == 6
    rows = SQLiteStorage.get_logs("tests", tracked.name)
    found: dict[int, dict[str, float]] = {}
    media: dict[str, Any] = {}
    for row in rows:
        for name, value in row.items():
            if name.startswith("clips/"):
                media[name] = value
            elif name not in ("step", "timestamp"):
                assert name not in found.setdefault(row["step"], {})
                found[row["step"]][name] = value
    assert_same(without_time(dict(sorted(found.items()))), without_time(wanted_figures(tracked)))
    for split in ("dev", "other"):
        clips = wanted_clips(tracked, split)
        assert media[f"clips/{split}"]["_value"] == clips
        for number, clip in enumerate(clips):
            audio = media[f"clips/{split}/{number}"]
            assert audio["caption"] == f"{clip['id']}: {clip['reference']} → {clip['hypothesis']}"
            assert soundfile.info(MEDIA_DIR / audio["file_path"]).frames == sound(tracked, clip)[0]
    place = trackio.init(project="tests", name="reader", embed=False, auto_log_cpu=False)
    try:
        for name in ("experiment.toml", "lock.json", "certificates.json"):
            artifact = place.use_artifact(f"{tracked.name}-{name}")
            assert sent_file(artifact, name, tracked) == (tracked / name).read_bytes()
    finally:
        place.finish()


def sent_file(artifact: Any, name: str, run: Path) -> bytes:
    """Return the content of a file of a Trackio artifact."""
    return (Path(artifact.download(root=str(run.parent / "downloads"))) / name).read_bytes()


def test_mlflow(tracked: Path) -> None:
    """One run of the local store, each step once."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed: pip install mlflow-skinny")
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("tests")

    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == (tracked.name, "FINISHED")
    settings = tomli.loads((tracked / "experiment.toml").read_text())
    assert run.data.params["train/steps"] == "6"
    assert run.data.params["decoder/weights"] == settings["decoder"]["weights"][:500]
    found: dict[int, dict[str, float]] = {}
    for name in run.data.metrics:
        for one in client.get_metric_history(run.info.run_id, name):
            assert name not in found.setdefault(one.step, {})
            found[one.step][name] = one.value
    assert_same(without_time(dict(sorted(found.items()))), without_time(wanted_figures(tracked)))
    for name in ("experiment.toml", "lock.json", "certificates.json"):
        path = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=name)
        assert Path(path).read_bytes() == (tracked / name).read_bytes()
    for split in ("dev", "other"):
        folder = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=f"clips/{split}")
        clips = wanted_clips(tracked, split)
        assert json.loads(Path(folder, "clips.json").read_text(encoding="utf-8")) == clips
        for number, clip in enumerate(clips):
            assert soundfile.info(f"{folder}/{number}.wav").frames == sound(tracked, clip)[0]


def test_wandb(tracked: Path) -> None:
    """Two offline folders with one id, which `wandb sync` makes one run; each step once."""
    pytest.importorskip("wandb", reason="wandb is not installed: pip install wandb")
    folders = sorted((tracked / "wandb").glob("offline-run-*"))
    assert len(folders) == 2
    assert len({folder.name.rpartition("-")[2] for folder in folders}) == 1

    sent = [record for folder in folders for record in records(next(folder.glob("*.wandb")))]
    for one in (record.run for record in sent if record.HasField("run")):
        config = {item.key: json.loads(item.value_json) for item in one.config.update}
        assert (one.display_name, one.project, config["train/steps"]) == (tracked.name, "tests", 6)
    assert [record.exit.exit_code for record in sent if record.HasField("exit")][-1] == 0
    found: dict[int, dict[str, float]] = {}
    tables: dict[str, Any] = {}
    for row in (history(record) for record in sent if record.HasField("history")):
        tables |= {name: value for name, value in row.items() if name.startswith("clips/")}
        assert row["_step"] not in found
        found[row["_step"]] = {
            name: value for name, value in row.items() if not name.startswith(("_", "clips/"))
        }
    for step in sorted(found)[6:]:  # W&B takes no step twice, so scores follow the last one
        found[6] |= found.pop(step)
    assert_same(without_time(found), without_time(wanted_figures(tracked)))
    artifacts = {record.artifact.name: record.artifact for record in sent if record.HasField("artifact")}
    for split in ("dev", "other"):
        assert tables[f"clips/{split}"]["_type"] == "table-file"
        (logged,) = (one for name, one in artifacts.items() if f"-clips{split}-" in name)
        places = {entry.path: entry.local_path for entry in logged.manifest.contents}
        table = json.loads(Path(places[f"clips/{split}.table.json"]).read_text(encoding="utf-8"))
        clips = wanted_clips(tracked, split)
        assert table["columns"] == [*clips[0], "audio"]
        assert [row[:-1] for row in table["data"]] == [list(clip.values()) for clip in clips]
        for row, clip in zip(table["data"], clips, strict=True):
            assert soundfile.info(places[row[-1]["path"]]).frames == sound(tracked, clip)[0]
    identity = folders[0].name.rpartition("-")[2]
    for name in ("experiment.toml", "lock.json", "certificates.json"):
        (entry,) = artifacts[f"{identity}-{name}"].manifest.contents
        assert entry.size == (tracked / name).stat().st_size


def history(record: Any) -> dict[str, Any]:
    """Return the values of a step; a table is a dict."""
    found: dict[str, Any] = {}
    for item in record.history.item:
        name, *inner = [item.key] if item.key else item.nested_key
        value = json.loads(item.value_json)
        found[name] = found.get(name, {}) | {inner[0]: value} if inner else value
    return found


@pytest.mark.parametrize(
    ("name", "settings"),
    [("trackio", {}), ("wandb", {"offline": True}), ("mlflow", {}), ("mlflow", {"uri": "file:mlruns"})],
)
def test_what_arrived_is_not_sent_again(
    name: str, settings: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill may come before a step is noted in the run folder: the tracker knows what it has."""
    pytest.importorskip(name, reason=f"{name} is not installed: pip install {name}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    (part,) = (part for part in steermoe_trackers.steermoe_callbacks() if part.name == name)
    run = Run("again", tmp_path, {"train/steps": 3})
    long = {
        f"steering/layer_{layer}/{'statistic' * 8}": 1.0 for layer in range(400 if name == "wandb" else 20)
    }

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy
        first, second = (part.build(part.config_class()(**settings)).tracker for _ in range(2))
        state = first.start(run, State())
        for step in (1, 2, 3):
            first.log(Figures(step, long))
        first.close(KeyboardInterrupt())
        found = second.start(run, State(state.id, 1))
        second.close(None)

    assert (state.step, found) == (-1, State(state.id, 3))


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a .wandb file: wandb's own messages, framed as in a log of LevelDB."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, parts = path.read_bytes(), 7, b""  # after the file's own header
    while place + 7 <= len(data):
        left = -place % 32_768 or 32_768  # bytes of the block
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record

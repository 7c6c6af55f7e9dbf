"""The page of an adapter: what it is, learnt from, reached and needs. Markdown under YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.config.check.structurer import HUB, HUB_SOURCE
from steermoe_core.config.fields import selections
from steermoe_core.config.resolve import model_toml, resolve_model
from steermoe_core.errors import UsageError
from steermoe_core.evaluate.durations import by_duration
from steermoe_core.evaluate.scores import Edits
from steermoe_core.run.folder.adapter import content
from steermoe_core.run.folder.finished import FinishedRun
from steermoe_core.run.folder.hub import FILES, adapter_folder
from steermoe_core.run.folder.records import Lock
from steermoe_core.run.folder.run_folder import RunFolder
from steermoe_core.use.metadata import HUB_ID, front_matter, transformers_files
from steermoe_core.use.provenance import data_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from steermoe_core.config.experiment import ModelConfig
    from steermoe_core.evaluate.durations import DurationGroup
    from steermoe_core.evaluate.scores import Score, Scores
    from steermoe_core.plugins import Registry
    from steermoe_core.run.folder.records import FrozenPart

PAGE = "README.md"
#: Clips that a split has at least where its score is shown by duration.
_SPLIT = 20
_PAGE = """\
---
{front}---

# {name}

A small trained part that lets the language model {decoder} hear through the audio encoder {encoder}:
{trained:,} trained numbers{groups}, {step:,} steps. Both models stay as they are and are not part of it.
Made with steermoe.
{description}
## Use

```console
$ pip install {distributions}
$ steermoe transcribe {source} speech.wav
```

In an experiment, `adapter = "{source}"` starts from it.
{data}
## Scores
{scores}
## What it belongs to

It fits these very weights; others are refused.

| part | component | weights | SHA-256 of its tensors |
| --- | --- | --- | --- |
{frozen}

Trained with {versions}.

<details>
<summary>experiment.toml: the model, as it is built again</summary>

```toml
{experiment}```

</details>
"""


def repository_files(
    path: Path, repo: str, registry: Registry, licence: str = "", languages: Sequence[str] = ()
) -> dict[str, bytes]:
    """Return what a run puts into a repository of the hub: `shared_files`, and what transformers loads it by.

    :param repo: OWNER/NAME.
    :param languages: codes of the languages that the adapter was trained for.
    :raises UsageError: there is no such run, it has no adapter, or `repo` is no name of a repository.
    :raises CheckpointError: the adapter is damaged.
    """
    found = HUB_SOURCE.fullmatch(f"{HUB}{repo}")
    if found is None or found[2]:
        msg = f"{repo!r} does not name a repository: write OWNER/NAME"
        raise UsageError(msg)
    files = shared_files(path, f"{HUB}{repo}", registry, licence, languages=languages)
    model = resolve_model(path / "adapter" / "experiment.toml", registry)
    return {**files, **transformers_files(_distributions(model, registry))}


def shared_files(
    path: Path,
    source: str,
    registry: Registry,
    licence: str = "",
    about: str = "",
    languages: Sequence[str] = (),
) -> dict[str, bytes]:
    """Return what a run shares, by name: the files of its adapter folder, and the page about them.

    :param source: the name that the adapter will be taken by.
    :param licence: of the adapter, as the hub writes it, such as `mit`; empty says nothing of one.
    :param about: what else the page should say at its beginning.
    :raises UsageError: there is no such run, or it has no adapter.
    :raises CheckpointError: the adapter is damaged.
    """
    folder = RunFolder.existing(path)
    if not folder.adapter.is_dir():
        msg = f"{path} has no trained adapter yet; finish it with `steermoe run {folder.experiment}`"
        raise UsageError(msg)
    model = resolve_model(folder.adapter / "experiment.toml", registry)
    files = {name: content(folder.adapter, name) for name in FILES}
    # Written anew: a folder that was made by hand may hold the paths of somebody's data.
    files["experiment.toml"] = model_toml(model, registry).encode()
    run = FinishedRun(path, registry)
    return {**files, PAGE: card(run, model, source, licence, about, languages).encode()}


def distributions(source: str, registry: Registry) -> list[str]:
    """Return the distributions to install before a trained model can be loaded; the model itself is not.

    :param source: as `Transcriber` takes it.
    :raises UsageError: there is no such model.
    :raises SetupError: the hub did not give it.
    """
    model = resolve_model(adapter_folder(source, registry) / "experiment.toml", registry)
    own = {registry.plugin_of("weights", source).distribution} if registry.find("weights", source) else set()
    return sorted(own.union(_distributions(model, registry)))


def card(
    run: FinishedRun, model: ModelConfig, source: str, licence: str, about: str, languages: Sequence[str]
) -> str:
    """Return the README.md of a run's adapter.

    :raises CheckpointError: the adapter is damaged.
    """
    trained, lock, registry = run.adapter, run.lock or Lock(), run.registry
    plugins = {
        plugin.distribution: lock.plugins.get(plugin.distribution, plugin.version)
        for plugin in _plugins(model, registry)
    }
    weights = {name: part.label for name, part in trained.frozen.items()}
    on_hub = [
        name for name in weights.values() if HUB_ID.fullmatch(name) and not registry.find("weights", name)
    ]
    data = data_lines(run)
    return _PAGE.format(
        front=front_matter(run, trained.experiment, on_hub, licence, languages),
        name=trained.experiment,
        encoder=f"`{weights['encoder']}`",
        decoder=f"`{weights['decoder']}`",
        trained=trained.trainable_parameters,
        groups=_groups(trained.groups),
        step=trained.step,
        description="".join(f"\n{text}\n" for text in (model.experiment.description, about) if text),
        distributions=" ".join(_distributions(model, registry)),
        source=source,
        data="\n".join(["\n## Data\n", *data, ""]) if data else "",
        scores=_scores(run.scores, run.own_decoder) + "".join(_by_duration(run)),
        frozen="\n".join(_frozen_row(name, part) for name, part in trained.frozen.items()),
        versions=", ".join(f"{name} {version}" for name, version in sorted(plugins.items())),
        experiment=model_toml(model, registry),
    )


def _distributions(model: ModelConfig, registry: Registry) -> list[str]:
    """Return the distributions that the model needs."""
    return sorted({"steermoe", *(plugin.distribution for plugin in _plugins(model, registry))})


def _plugins(model: ModelConfig, registry: Registry) -> Iterator[Any]:
    """Yield the plugins whose components and weights are used."""
    for _, selection in selections(model):
        yield registry.plugin_of(selection.kind, selection.name)
        name = getattr(selection.config, "weights", None)
        if isinstance(name, str) and registry.find("weights", name):
            yield registry.plugin_of("weights", name)


def _groups(sizes: Mapping[str, int]) -> str:
    """Return the parameter groups in brackets; nothing where they are not known."""
    return f" ({', '.join(f'{name} {size:,}' for name, size in sizes.items())})" if sizes else ""


def _scores(splits: dict[str, Scores], own: dict[str, Scores]) -> str:
    if not splits:
        return "\nNone yet.\n"
    rows = [
        f"| {split} | {name} | {_figure(score)} | {_interval(score)} "
        f"| {_others(scores, own.get(split), name)} | {scores.examples} |"
        for split, scores in splits.items()
        for name, score in scores.metrics.items()
    ]
    head = [
        "| split | score | value | 95 % interval | beside it | clips |",
        "| --- | --- | ---: | --- | --- | ---: |",
    ]
    left = [
        f"{split}: {len(names)} clips left out, {reason}."
        for split, scores in splits.items()
        for reason, names in scores.left_out.items()
    ]
    return "\n" + "\n".join([*head, *rows]) + "\n" + "".join(f"\n{line}\n" for line in left)


def _by_duration(run: FinishedRun) -> Iterator[str]:
    """Yield a table for each split: its first score by edits, by duration of the clip."""
    for split, scores in run.scores.items():
        name = next((name for name, score in scores.metrics.items() if score.edits is not None), None)
        rows = [(row, Edits(*row.edits[name])) for row in run.predictions(split) if name in row.edits]
        if name is None or len(rows) < _SPLIT:
            continue
        yield f"\n{split}, {name} by duration of the clip:\n\n"
        yield "| seconds | clips | value | 95 % interval |\n| --- | ---: | ---: | --- |\n"
        for group in by_duration(rows, higher_is_better=scores.metrics[name].higher_is_better):
            span = f"{group.shortest:.1f}–{group.longest:.1f}"
            yield f"| {span} | {group.clips} | {_figure(group)} | {_interval(group)} |\n"


def _others(scores: Scores, own: Scores | None, name: str) -> str:
    """Return the same score of each control, and of the encoder's own decoder where that was scored."""
    others = {control: found.get(name) for control, found in scores.controls.items()}
    if own is not None:
        others["the encoder's own decoder"] = own.metrics.get(name)
    return ", ".join(f"{other} {_figure(score)}" for other, score in others.items()) or "–"


def _figure(score: Score | DurationGroup | None) -> str:
    return "–" if score is None or score.value is None else f"{score.value:.3f}"


def _interval(score: Score | DurationGroup) -> str:
    interval = score.interval
    return "–" if interval is None else f"{interval.low:.3f}–{interval.high:.3f}"


def _frozen_row(name: str, part: FrozenPart) -> str:
    return f"| {name} | {part.use} | `{part.weights or '–'}` | `{part.sha256}` |"

"""The baselines of a steering experiment, rung by rung: what each part adds, with everything else equal.

    own decoder       the encoder's own decoder, greedily; nothing is trained
    projection only   no adapter
    static steering   one expert: the same vector for every frame
    steering          the experiment itself
    LoRA, …           adapters of the encoder that declare a rung, in the same layers, with their defaults
    …                 rungs that are added by name: adapters of the decoder, or of both
    no-audio, …       the controls of the steering runs

Each rung that trains is an ordinary run of the same file with one table changed: same data, seed, steps and
pooling. Callbacks that a rung's adapter does not support are left out of its run.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.check.capabilities import lacking
from steermoe_core.config.origins import Filler
from steermoe_core.config.resolve import Resolved, resolve
from steermoe_core.config.sweep import Cell
from steermoe_core.config.text.write import inline
from steermoe_core.errors import UsageError
from steermoe_core.run.scoring.own_decoder import has_own_decoder, own_folder
from steermoe_core.study.seeds import SeedGroup, own_decoder_group
from steermoe_core.study.sweep import finished_groups, jobs_of
from steermoe_core.study.table import Row, row
from steermoe_core.suggest import closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from steermoe_core.component import Component, Selection
    from steermoe_core.plugins import Registry
    from steermoe_core.study.jobs import Job

OWN, PROJECTION, STATIC, STEERING = "own decoder", "projection only", "static steering", "steering"
#: The baseline of all others.
BASE = PROJECTION


@attrs.frozen
class Rung:
    """A rung that trains.

    :param adapters: the components.
    :param overrides: ``KEY=VALUE`` texts that turn the experiment into this rung.
    """

    name: str
    adapters: Sequence[str]
    overrides: list[str]


@attrs.frozen(kw_only=True)
class Ladder:
    """The ladder of an experiment.

    :param file: an experiment with a steering adapter.
    :param overrides: ``KEY=VALUE`` texts of `--set` flags, for every rung.
    :param seeds: of each rung; empty for the seed of the file.
    :param add: names of rungs to add.
    """

    file: Path
    overrides: Sequence[str]
    seeds: Sequence[int]
    registry: Registry
    add: Sequence[str] = ()

    def jobs(self, runs: Path, flags: Sequence[str] = ()) -> list[Job]:
        """Return the jobs, from the lowest rung up.

        :param runs: the folder that holds the run folders.
        :param flags: flags that every command takes.
        :raises ConfigError: the file or one of its rungs is wrong.
        :raises UsageError: the adapter of the file does not steer, or there is no rung to add of such a name.
        """
        whole = self._resolved(*(f"experiment.seed={seed}" for seed in self.seeds[:1]))
        self._check(whole)
        seeds = self.seeds or [whole.experiment.experiment.seed]
        cells = {
            f"{rung.name}, seed {seed}" if len(seeds) > 1 else rung.name: Cell(
                {"rung": rung.name, "seed": seed},
                self._resolved(
                    f"experiment.seed={seed}", *rung.overrides, *self._callbacks(whole, rung.adapters)
                ),
            )
            for rung in self._rungs(whole)
            for seed in seeds
        }
        jobs = jobs_of(cells, self.registry, runs, flags)
        if has_own_decoder(whole.experiment, self.registry):
            steering = next(job for job in jobs if job.settings["rung"] == STEERING)
            run = steering.folder.path
            own = attrs.evolve(
                steering,
                name=OWN,
                settings={"rung": OWN, "seed": None},
                folder=own_folder(run),
                words=["evaluate", str(run), "--own-decoder", *flags],
                train=None,
            )
            jobs.insert(0, own)
        return jobs

    def rows(self, jobs: Sequence[Job]) -> list[Row]:
        """Return the scores of the finished rungs, seeds merged, compared with the projection alone."""
        groups = self._groups(jobs)
        splits = dict.fromkeys(split for group in groups.values() for split in group.splits())
        return [
            row(group, split, groups.get(BASE), label=name)
            for split in splits
            for name, group in groups.items()
            if split in group.splits()
        ]

    def _groups(self, jobs: Sequence[Job]) -> dict[str, SeedGroup]:
        """Return the finished rungs by name, then the controls of the steering runs."""
        trained = [job for job in jobs if job.settings["rung"] != OWN]
        groups = {settings["rung"]: group for settings, group in finished_groups(trained, self.registry)}
        if STEERING in groups:
            groups |= dict(_controls(groups[STEERING]))
        own = next((job for job in jobs if job.settings["rung"] == OWN and job.state == "finished"), None)
        if own is None:
            return groups
        return {OWN: own_decoder_group(own.folder.path.parent, self.registry), **groups}

    def _rungs(self, whole: Resolved) -> Iterator[Rung]:
        """Yield the rungs that train, from the lowest up."""
        (adapter,) = whole.experiment.adapter
        encoder = self.registry.get("encoder", whole.experiment.encoder.name)
        yield Rung(PROJECTION, ["none"], ['adapter={use="none"}'])
        if adapter.config.experts > 1:
            yield Rung(STATIC, [adapter.name], ["adapter.experts=1"])
        yield Rung(STEERING, [adapter.name], [])
        others = {
            name: (part, tables)
            for part in map(partial(self.registry.get, "adapter"), self.registry.names("adapter"))
            for name, tables in part.rungs.items()
        }
        if unknown := [name for name in self.add if name not in others]:
            near = closest(unknown[0], others)
            hint = f'; did you mean "{near}"?' if near else ""
            msg = f'no rung is called "{unknown[0]}"; there are {", ".join(others)}{hint}'
            raise UsageError(msg)
        for name, (part, tables) in others.items():
            usual = all(table.get("on", "encoder") == "encoder" for table in tables) and part.needs
            if name in self.add or (usual and not lacking(part, "encoder", encoder)):
                yield self._rung(name, part, tables, adapter)

    def _rung(self, name: str, part: Component, tables: Sequence[Mapping[str, Any]], own: Selection) -> Rung:
        """Return a rung of other adapters, with the experiment's settings for the same component."""
        start: dict[str, Any] = {}
        if part.name == own.name:
            start = Filler(self.registry).table(own.config)
        elif layers := getattr(own.config, "layers", []):
            start = {"layers": layers} if "layers" in attrs.fields_dict(part.config_class()) else {}
        whole = [{"use": part.name, **_on(start, table), **table} for table in tables]
        adapter = whole[0] if len(whole) == 1 else whole
        return Rung(name, [part.name], [f"adapter={inline(adapter)}"])

    def _callbacks(self, whole: Resolved, adapters: Sequence[str]) -> list[str]:
        """Return the override that leaves out the callbacks that no adapter of a rung supports, if any."""
        parts, tables = [self.registry.get("adapter", name) for name in adapters], whole.table["callbacks"]
        kept = [
            table
            for table in tables
            if not all(
                lacking(self.registry.get("callback", table["use"]), "adapter", part) for part in parts
            )
        ]
        return [] if kept == tables else [f"callbacks={inline(kept)}"]

    def _check(self, whole: Resolved) -> None:
        """Refuse an adapter without experts.

        :raises UsageError: naming the adapter.
        """
        adapters = whole.experiment.adapter
        names = ", ".join(one.name for one in adapters)
        part = self.registry.find("adapter", adapters[0].name)
        steers = part is not None and "gates" in (part.gives or ()) and hasattr(adapters[0].config, "experts")
        if len(adapters) > 1 or not steers:
            msg = f"{self.file} has the adapter {names}: a ladder needs one adapter that steers"
            raise UsageError(msg)

    def _resolved(self, *overrides: str) -> Resolved:
        return resolve(self.file, self.overrides, self.registry, overrides)


def _on(settings: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that hold for an adapter on another tower too: its layers are others."""
    moved = table.get("on", "encoder") != settings.get("on", "encoder")
    return {key: value for key, value in settings.items() if not (moved and key == "layers")}


def _controls(steering: SeedGroup) -> Iterator[tuple[str, SeedGroup]]:
    """Yield each control of the steering runs as a group of its own."""
    names = dict.fromkeys(
        name for scores in steering.scores for one in scores.values() for name in one.controls
    )
    for name in names:
        scores = [
            {
                split: attrs.evolve(one, metrics=one.controls[name], controls={}, steering=[])
                for split, one in by_split.items()
                if name in one.controls
            }
            for by_split in steering.scores
        ]
        yield name, attrs.evolve(steering, scores=scores, control=name)

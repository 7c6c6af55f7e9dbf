"""The baselines of a steering experiment, rung by rung: what each part of it adds, with all else the same.

    own decoder       what the encoder's own decoder writes down; nothing is trained
    projection only   no adapter
    static steering   one expert: the same vector for every frame
    steering          the experiment as it is
    LoRA              low-rank matrices in the same layers, with that adapter's defaults
    no-audio, …       the controls of the steering run

Each rung that trains is an ordinary run of the same file with one table changed: same data, seed, steps and
pooling. A callback that an adapter has nothing for is left out of its rung.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.config.check.capabilities import lacking
from steermoe_core.config.resolve import Resolved, resolve
from steermoe_core.config.text.write import inline
from steermoe_core.errors import UsageError
from steermoe_core.run.assembly.parts import check_imports
from steermoe_core.run.scoring.own_decoder import has_own_decoder, own_folder
from steermoe_core.study.jobs import Job
from steermoe_core.study.own_decoder import own_group
from steermoe_core.study.seeds import Group, groups
from steermoe_core.study.table import row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from steermoe_core.plugins import Registry

OWN, PROJECTION, STATIC, STEERING, LORA = (
    "own decoder",
    "projection only",
    "static steering",
    "steering",
    "LoRA",
)
#: What the others are compared with.
BASE = PROJECTION


@attrs.frozen(kw_only=True)
class Ladder:
    """A file whose ladder is built.

    :param file: an experiment with a steering adapter.
    :param overrides: ``KEY=VALUE`` texts of `--set` flags, for every rung.
    :param seeds: of each rung; empty: the file's own.
    """

    file: Path
    overrides: Sequence[str]
    seeds: Sequence[int]
    registry: Registry

    def jobs(self, runs: Path, flags: Sequence[str] = ()) -> list[Job]:
        """Return the jobs from the lowest rung on.

        :param runs: the folder that holds the run folders.
        :param flags: those that every command takes.
        :raises ConfigError: the file or one of its rungs is wrong.
        :raises UsageError: the file steers nothing.
        """
        whole = resolve(
            self.file, [*self.overrides, *self._seed(next(iter(self.seeds), None))], self.registry
        )
        self._check(whole)
        found: list[Job] = []
        for name, change in self._changes(whole):
            for seed in self.seeds or [whole.experiment.experiment.seed]:
                flags_of = [*self.overrides, *self._seed(seed), *change, *self._callbacks(whole, name)]
                resolved = resolve(self.file, flags_of, self.registry)
                check_imports(resolved, self.registry)
                found.append(Job.run({"rung": name, "seed": seed}, resolved, runs, flags))
        if has_own_decoder(whole.experiment, self.registry):
            steering = next(job for job in found if job.settings["rung"] == STEERING)
            found.insert(0, _own_job(steering, flags))
        return found

    def rows(self, jobs: Sequence[Job]) -> list[dict[str, Any]]:
        """Return the scores of the finished rungs as `table.row` does, seeds merged, with their `rung`.

        All others are compared with the projection alone.
        """
        found = self._groups(jobs)
        base = found.get(BASE)
        splits = dict.fromkeys(split for group in found.values() for split in group.splits())
        return [
            {"rung": name, **row(group, split, base)}
            for split in splits
            for name, group in found.items()
            if split in group.splits()
        ]

    def _groups(self, jobs: Sequence[Job]) -> dict[str, Group]:
        done: dict[str, list[Path]] = {}
        for job in jobs:
            if job.state == "finished":
                done.setdefault(job.settings["rung"], []).append(job.folder.path)
        found = {}
        for name, paths in done.items():
            if name == OWN:
                found[name] = own_group(paths[0].parent, self.registry)
            else:
                (found[name],) = groups(paths, self.registry)
        steering = found.get(STEERING)
        return {**found, **({} if steering is None else dict(_controls(steering)))}

    def _changes(self, whole: Resolved) -> Iterator[tuple[str, list[str]]]:
        """Yield each rung that trains, with the flags that make it of the file."""
        adapter = whole.experiment.adapter.config
        yield PROJECTION, ['adapter={use="none"}']
        if adapter.experts > 1:
            yield STATIC, ["adapter.experts=1"]
        yield STEERING, []
        encoder = self.registry.get("encoder", whole.experiment.encoder.name)
        lora = self.registry.find("adapter", "lora")
        if lora and not lacking(lora, "encoder", encoder):
            layers = getattr(adapter, "layers", [])
            yield LORA, [f"adapter={inline({'use': 'lora', **({'layers': layers} if layers else {})})}"]

    def _callbacks(self, whole: Resolved, rung: str) -> list[str]:
        """Return the flag that leaves out the callbacks that a rung's adapter has nothing for, if any."""
        chosen = {PROJECTION: "none", LORA: "lora"}.get(rung, whole.experiment.adapter.name)
        adapter = self.registry.get("adapter", chosen)
        tables = whole.table["callbacks"]
        kept = [
            table
            for table in tables
            if not lacking(self.registry.get("callback", table["use"]), "adapter", adapter)
        ]
        return [] if kept == tables else [f"callbacks={inline(kept)}"]

    def _check(self, whole: Resolved) -> None:
        """Refuse a file without experts.

        :raises UsageError: naming its adapter.
        """
        chosen = whole.experiment.adapter
        part = self.registry.find("adapter", chosen.name)
        if part is None or "gates" not in (part.gives or ()) or not hasattr(chosen.config, "experts"):
            msg = f"{self.file} has the adapter {chosen.name}: a ladder leads up to an adapter that steers"
            raise UsageError(msg)

    @staticmethod
    def _seed(seed: int | None) -> list[str]:
        return [] if seed is None else [f"experiment.seed={seed}"]


def _own_job(steering: Job, flags: Sequence[str]) -> Job:
    """Return the job of scoring the encoder's own decoder, in the folder of the steering run."""
    run = steering.folder.path
    return attrs.evolve(
        steering,
        settings={"rung": OWN, "seed": None},
        folder=own_folder(run),
        words=["evaluate", str(run), "--own-decoder", *flags],
        steps=0,
    )


def _controls(steering: Group) -> Iterator[tuple[str, Group]]:
    """Yield the controls of the steering runs as groups of their own."""
    scores = [one["splits"][split] for one in steering.facts for split in steering.splits()]
    for name in dict.fromkeys(name for score in scores for name in score["controls"]):
        facts = [
            {
                **one,
                "splits": {
                    split: {**score, "metrics": score["controls"][name], "controls": {}, "steering": []}
                    for split, score in one["splits"].items()
                    if name in score["controls"]
                },
            }
            for one in steering.facts
        ]
        yield name, attrs.evolve(steering, facts=facts, control=name)

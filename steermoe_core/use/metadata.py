"""What programs read of a repository: the YAML of its card, and the files by which transformers loads it.

The hub finds models by that YAML and shows their scores.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from huggingface_hub import EvalResult, ModelCardData

from steermoe_core.data.config import HubConfig
from steermoe_core.errors import SteermoeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from steermoe_core.component import Selection
    from steermoe_core.config.experiment import DataConfig
    from steermoe_core.evaluate.scores import Score, Scores
    from steermoe_core.run.folder.finished import FinishedRun

#: A name on the hub.
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
#: What a model does whose answers are measured by their errors, and any other.
_SPEECH, _QUESTIONS = "automatic-speech-recognition", "audio-text-to-text"
_PERCENT = 100.0
_CODE = '''"""This adapter for transformers; steermoe does the work: pip install {distributions}."""

from steermoe_core.use.pretrained import SteerMoEConfig, SteerMoEModel, SteerMoEPipeline

__all__ = ["SteerMoEConfig", "SteerMoEModel", "SteerMoEPipeline"]
'''
#: What transformers finds in that file, and for which of its own classes and tasks.
_CONFIG = {
    "model_type": "steermoe",
    "architectures": ["SteerMoEModel"],
    "auto_map": {
        "AutoConfig": "modeling_steermoe.SteerMoEConfig",
        "AutoModel": "modeling_steermoe.SteerMoEModel",
    },
    "custom_pipelines": {
        _SPEECH: {"impl": "modeling_steermoe.SteerMoEPipeline", "pt": ["AutoModel"], "type": "audio"}
    },
}


def front_matter(
    run: FinishedRun, name: str, base_models: Sequence[str], licence: str, languages: Sequence[str]
) -> str:
    """Return the YAML of a run's card; strings as JSON writes them are strings of YAML.

    :param name: of the model in `model-index`.
    :param base_models: the frozen parts that are on the hub.
    :param licence: as the hub writes it; empty says nothing of one.
    :param languages: codes of those that the model was trained for.
    """
    data = _data(run)
    task = _task(run.scores)
    results = list(_results(run.scores, data, task))
    card: Any = ModelCardData(
        license=licence or None,
        library_name="steermoe",
        tags=["steermoe", "audio"],
        language=list(languages) or None,
        pipeline_tag=task if run.scores else None,
        base_model=list(base_models) or None,
        datasets=list(dict.fromkeys(_hub_ids(data))) or None,
        model_name=name,
        eval_results=results or None,
    )
    values: dict[str, Any] = card.to_dict()
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items() if value)


def transformers_files(distributions: Iterable[str]) -> dict[str, bytes]:
    """Return the files by which transformers loads an adapter.

    :param distributions: to install first.
    """
    code = _CODE.format(distributions=" ".join(distributions))
    return {"config.json": json.dumps(_CONFIG, indent=2).encode(), "modeling_steermoe.py": code.encode()}


def _data(run: FinishedRun) -> DataConfig | None:
    """Return the [data] of a run; None where its parts are not installed."""
    try:
        return run.experiment.data
    except SteermoeError:
        return None


def _hub_ids(data: DataConfig | None) -> Iterator[str]:
    """Yield the training data that is on the hub."""
    for source in data.train if data else ():
        if isinstance(source.config, HubConfig) and HUB_ID.fullmatch(source.config.path):
            yield source.config.path


def _task(splits: Mapping[str, Scores]) -> str:
    """Return the pipeline that the scores are of: rates of edits are those of speech recognition."""
    scores = [score for split in splits.values() for score in split.metrics.values()]
    errors = any(score.edits is not None and not score.higher_is_better for score in scores)
    return _SPEECH if errors else _QUESTIONS


def _results(splits: Mapping[str, Scores], data: DataConfig | None, task: str) -> Iterator[EvalResult]:
    """Yield each score of each split, with its rule, interval and controls."""
    for split, scores in splits.items():
        source = data.eval.get(split) if data else None
        for name, score in scores.metrics.items():
            if score.value is not None:
                yield EvalResult(
                    task_type=task,
                    **_dataset(split, source),
                    dataset_args={"clips": scores.examples, "hours": scores.hours},
                    metric_type=score.metric or name,
                    metric_name=name if _is_ratio(score) else f"{name}, %",
                    metric_value=_value(score, score.value),
                    metric_args=_circumstances(name, score, scores),
                )


def _dataset(split: str, source: Selection | None) -> dict[str, Any]:
    """Return the keys that name a dataset: those of the hub where it is there."""
    config = source.config if source else None
    if isinstance(config, HubConfig):
        names = {"dataset_type": config.path, "dataset_name": config.path, "dataset_split": config.split}
        return {**names, **({"dataset_config": config.name} if config.name else {})}
    return {"dataset_type": source.name if source else split, "dataset_name": split, "dataset_split": split}


def _circumstances(name: str, score: Score, scores: Scores) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if score.rule is not None:
        found["text_rule"] = f"{score.rule.name} {score.rule.version}"
    if score.interval is not None:
        ends = (score.interval.low, score.interval.high)
        found["interval_95"] = [_value(score, end) for end in ends]
    for control, others in scores.controls.items():
        other = others.get(name)
        if other is not None and other.value is not None:
            found[control] = _value(score, other.value)
    return found


def _is_ratio(score: Score) -> bool:
    """Return whether a value is no share of edits, which the hub shows in per cent."""
    return score.edits is None


def _value(score: Score, value: float) -> float:
    return round(value if _is_ratio(score) else _PERCENT * value, 4)

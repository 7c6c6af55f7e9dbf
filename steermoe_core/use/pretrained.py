"""A shared adapter as transformers loads it: `AutoModel.from_pretrained` and `pipeline`.

The repository of an adapter has a `config.json` and a file `modeling_steermoe.py` (`use.metadata`) that
imports the three classes of this module, so that transformers finds them. The rest is a `Transcriber`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from transformers import Pipeline, PreTrainedConfig, PreTrainedModel

from steermoe_core.config.check.structurer import HUB
from steermoe_core.data.audio.recordings import is_sound
from steermoe_core.errors import DataError, UsageError
from steermoe_core.use.transcriber import Transcriber, load

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from steermoe_core.data.audio.recordings import Sound
    from steermoe_core.use.transcript import Transcript

#: Keys under which transformers' pipelines take a waveform in a dict.
_WAVEFORM, _RATE = ("raw", "array"), "sampling_rate"


class SteerMoEConfig(PreTrainedConfig):
    """The `config.json` of an adapter; the experiment is in `experiment.toml`."""

    model_type = "steermoe"


class SteerMoEModel(PreTrainedModel):
    """A trained adapter with its frozen encoder and decoder.

    :ivar transcriber: what transcribes and answers.
    """

    config_class = SteerMoEConfig

    def __init__(self, config: SteerMoEConfig, transcriber: Transcriber) -> None:
        super().__init__(config)
        self.transcriber = transcriber
        self.joined = transcriber.model

    @classmethod
    def from_pretrained(  # type: ignore[override] # the weights are those that the adapter names
        cls, source: str | os.PathLike[str], *_: Any, config: SteerMoEConfig, **settings: Any
    ) -> SteerMoEModel:
        """Load an adapter folder or a repository of the hub, and the frozen parts that it names.

        :param settings: `revision` chooses a commit, branch or tag.
        :raises UsageError: there is no adapter, or a setting would have no effect.
        :raises SetupError: the hub did not give it.
        """
        revision = settings.get("revision") or "main"
        if unknown := [name for name in _WEIGHTS if settings.get(name) not in (None, "auto")]:
            msg = f"{unknown[0]} has no effect: the adapter's experiment.toml decides it; leave it out"
            raise UsageError(msg)
        local = Path(source).is_dir()
        return cls(config, load(str(source) if local else f"{HUB}{source}@{revision}"))

    def transcribe(self, sounds: Sound | Iterable[Sound], prompt: str | None = None) -> str | list[str]:
        """Return what `Transcriber.transcribe` returns."""
        return self.transcriber.transcribe(sounds, prompt)


#: Settings of `from_pretrained` that would change the weights.
_WEIGHTS = ("dtype", "torch_dtype", "quantization_config", "device_map", "attn_implementation")


class SteerMoEPipeline(Pipeline):
    """`pipeline("automatic-speech-recognition", model=…, trust_remote_code=True)`."""

    _load_processor: Any = False
    _load_image_processor: Any = False
    _load_feature_extractor: Any = False
    _load_tokenizer: Any = False

    def __call__(  # type: ignore[override] # recordings of any length are batched by the transcriber
        self, inputs: Any, *, prompt: str | None = None, return_timestamps: bool = False
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Return the text of a recording, or a list with that of each of several.

        :param inputs: what `Transcriber.transcribe` takes, or a dict with a waveform under `raw` or `array`
            and its `sampling_rate`.
        :param prompt: in place of the collator's own.
        :param return_timestamps: also return `chunks`, the segments with their times.
        :returns: `{"text": …}` for each recording.
        :raises DataError: a recording cannot be read.
        """
        one = isinstance(inputs, dict) or is_sound(inputs)
        sounds = [_sound(inputs)] if one else (_sound(each) for each in inputs)
        found = [_told(one, times=return_timestamps) for one in self._transcripts(sounds, prompt)]
        return found[0] if one else found

    def _transcripts(self, sounds: Iterable[Sound], prompt: str | None) -> Iterator[Transcript]:
        transcriber: Transcriber = cast("Any", self.model).transcriber
        for transcript in transcriber.transcripts(sounds, prompt):
            if isinstance(transcript, DataError):
                raise transcript
            yield transcript

    # The steps of transformers' own loop, which `__call__` takes the place of.

    def _sanitize_parameters(self, **_: Any) -> tuple[dict[str, Any], ...]:
        return {}, {}, {}

    def preprocess(self, *_: Any, **__: Any) -> Any:
        """Not called."""
        raise NotImplementedError

    def _forward(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def postprocess(self, *_: Any, **__: Any) -> Any:
        """Not called."""
        raise NotImplementedError


def _sound(value: Any) -> Sound:
    if not isinstance(value, dict):
        return cast("Sound", value)
    waveform = next((value[name] for name in _WAVEFORM if name in value), None)
    if waveform is None or _RATE not in value:
        msg = f"a recording in a dict needs {' or '.join(_WAVEFORM)}, and {_RATE}; it has {', '.join(value)}"
        raise UsageError(msg)
    return waveform, int(value[_RATE])


def _told(transcript: Transcript, *, times: bool) -> dict[str, Any]:
    chunks = [{"timestamp": (one.start, one.end), "text": one.text} for one in transcript.segments]
    return {"text": transcript.text, **({"chunks": chunks} if times else {})}

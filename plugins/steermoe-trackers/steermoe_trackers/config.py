"""Settings of the trackers; cheap to import."""

from __future__ import annotations

import os

import attrs
from attrs.validators import ge, gt, le


@attrs.frozen(kw_only=True)
class TrackerConfig:
    """What every tracker of this plugin has.

    :param clips: number of clips sent from each split: those with the most errors, as audio with reference
        and hypothesis.
    :param timeout: longest time that the run waits for the tracker in seconds, at its start and at its end.
        In between, it never waits.
    """

    clips: int = attrs.field(default=10, validator=[ge(0), le(1000)])
    timeout: float = attrs.field(default=30.0, validator=[gt(0.0), le(3600.0)])


@attrs.frozen(kw_only=True)
class TensorBoardConfig(TrackerConfig):
    """TensorBoard: event files in the folder `tensorboard` of the run."""


@attrs.frozen(kw_only=True)
class TrackioConfig(TrackerConfig):
    """Trackio: a local store, by default in the cache of Hugging Face; `TRACKIO_DIR` sets another one.

    :param project: that the run belongs to.
    :param space: `OWNER/NAME` of a Space on the Hugging Face hub that the run is sent to; it is created if
        necessary. By default the run stays on this machine, unless `TRACKIO_SPACE_ID` is set.
    """

    project: str = "steermoe"
    space: str | None = None


@attrs.frozen(kw_only=True)
class WandbConfig(TrackerConfig):
    """Weights & Biases. `wandb login` stores the credentials.

    :param project: that the run belongs to.
    :param entity: user or team of the project; by default the account's own.
    :param offline: write to the folder `wandb` of the run only; `wandb sync` uploads it later.
    """

    project: str = "steermoe"
    entity: str | None = None
    offline: bool = False


@attrs.frozen(kw_only=True)
class MlflowConfig(TrackerConfig):
    """MLflow, by a server or a local store.

    :param project: the experiment of MLflow that the run belongs to.
    :param uri: the tracking URI: a server (`http://…`) or a file (`sqlite:///mlflow.db`). By default that of
        `MLFLOW_TRACKING_URI`, else MLflow's own default.
    """

    project: str = "steermoe"
    uri: str | None = None

    @property
    def requires(self) -> tuple[str, ...]:
        """The packages of a local store; a server needs none of them."""
        uri = self.uri or os.environ.get("MLFLOW_TRACKING_URI", "sqlite:")
        return ("alembic>=1.10", "sqlalchemy>=2") if uri.startswith("sqlite:") else ()

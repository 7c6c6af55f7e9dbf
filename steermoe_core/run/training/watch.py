"""Callbacks of every run: frozen weights stay frozen, and status.json has the step of the last checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steermoe_core.errors import PluginError
from steermoe_core.run.folder import adapter
from steermoe_core.train import ranks
from steermoe_core.train.callbacks import Callback

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import TrainerControl, TrainerState

    from steermoe_core.run.folder.run_folder import RunFolder


class FrozenWatch(Callback):
    """Compares the frozen parts after the last step, before its checkpoint: a changed model is never saved.

    Callbacks that stop the training early come before it in the list.

    :param frozen: `adapter.identity` of the model before training.
    :param keep: called with the identity after training, if it is the same.
    """

    def __init__(self, frozen: dict[str, str], keep: Callable[[dict[str, str]], None]) -> None:
        self.frozen = frozen
        self.keep = keep

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step < state.max_steps and not control.should_training_stop:
            return
        now = adapter.identity(self.joined)
        if changed := [part for part, before in self.frozen.items() if now[part] != before]:
            msg = (
                f"frozen weights of the {' and the '.join(changed)} changed during training, so nothing that "
                "was trained is valid; find the component that writes to them, and delete the run folder"
            )
            raise PluginError(msg)
        self.keep(now)


class StatusWatch(Callback):
    """Writes the step of each checkpoint to status.json.

    :param folder: the run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if ranks.first():
            self.folder.set_status("running", step=state.global_step)

"""Datasets of the hub, and folders laid out like them: prepared split by split.

`datasets` by itself fetches and prepares every split of a configuration, and requires all files of a folder.
Where the card of a dataset lists the files of each split, only those of the chosen split are needed.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from steermoe_core.errors import DataError, SetupError
from steermoe_core.system.hub import asking, expanded, is_path, report_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from steermoe_core.data.config import HubConfig

_CARD = "README.md"


@attrs.frozen
class Listed:
    """A split as the card of its dataset describes it.

    :param files: patterns of its files, relative to the card.
    :param rows: rows of all files together; None where the card does not state them.
    """

    files: list[str]
    rows: int | None


def prepare_split(config: HubConfig, split: str) -> list[Path]:
    """Return the Arrow files that `datasets` makes of a split in its cache.

    :raises SetupError: the dataset is not available.
    :raises DataError: it has no such configuration or split, or this copy of it is incomplete or damaged.
    """
    config = attrs.evolve(config, path=expanded(config.path))
    report_folder(config.path)
    here = Path(config.path).exists()
    if not here and is_path(config.path):
        msg = f"{config.path}: there is no such folder, and it is not a name on the hub"
        raise DataError(msg)
    with nullcontext("") if here else asking() as silence:
        table, listed = _loaded(config, split, silence)
    if listed and listed.rows not in (None, len(table)):
        msg = (
            f"{config.path}: split {split!r} has {len(table):,} rows here, but {listed.rows:,} by its card; "
            f"fetch {' '.join(listed.files)} again"
        )
        raise DataError(msg)
    return [Path(file["filename"]) for file in table.cache_files]


def _loaded(config: HubConfig, split: str, silence: str) -> tuple[Any, Listed | None]:
    """Return a split as `datasets` loads it, and as its card describes it.

    :param silence: why the hub does not answer; empty where it does.
    """
    from datasets import load_dataset

    try:
        listed = _listed(config, split)
        if listed is None:
            name, revision = config.name or None, config.revision or None
            return load_dataset(config.path, name, split=split, revision=revision), None
        folder = str(_folder(config, listed))
        return load_dataset(folder, data_files={split: listed.files}, split=split), listed
    except (DataError, SetupError):
        raise
    except ValueError as error:  # no such configuration or split
        msg = f"{config.path}: {_reason(error)}"
        raise DataError(msg) from None
    except Exception as error:  # noqa: BLE001 - errors of datasets, the hub's client and its transport
        raise _unavailable(config, silence or _reason(error)) from None


def _listed(config: HubConfig, split: str) -> Listed | None:
    """Return a split as the card describes it; None where it does not list the files of each split."""
    card = _card(config)
    named = [one for one in card.get("configs") or [] if config.name in ("", one.get("config_name"))]
    if len(named) != 1 or "data_dir" in named[0]:
        return None
    splits = [one for one in named[0].get("data_files") or [] if isinstance(one, dict)]
    paths = [one["path"] for one in splits if one.get("split") == split]
    files = [file for path in paths for file in ([path] if isinstance(path, str) else path)]
    if not files or any("://" in file for file in files):
        return None
    return Listed(files, _rows(card.get("dataset_info"), named[0].get("config_name"), split))


def _card(config: HubConfig) -> dict[str, Any]:
    """Return the metadata of the card; empty where there is no readable card."""
    from huggingface_hub import DatasetCard, hf_hub_download

    readme: str | Path = Path(config.path, _CARD)
    try:
        if not Path(config.path).is_dir():
            readme = hf_hub_download(
                config.path, _CARD, repo_type="dataset", revision=config.revision or None
            )
        return dict(DatasetCard.load(readme, ignore_metadata_errors=True).data.to_dict())
    except Exception:  # noqa: BLE001 - `datasets` meets the same error next and reports it
        return {}


def _rows(infos: Any, name: str | None, split: str) -> int | None:
    """Return the number of rows that a card states for a split.

    :param infos: its `dataset_info`: a table, or one for each configuration.
    """
    tables = infos if isinstance(infos, list) else [infos or {}]
    return next(
        (
            one.get("num_examples")
            for table in tables
            if table.get("config_name", name) == name
            for one in table.get("splits") or []
            if one.get("name") == split
        ),
        None,
    )


def _folder(config: HubConfig, listed: Listed) -> Path:
    """Return the folder that holds the files of a split; from the hub, they are fetched."""
    folder, advice = Path(config.path), "copy them to it from the hub"
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        revision = config.revision or None
        folder = Path(
            snapshot_download(
                config.path, repo_type="dataset", revision=revision, allow_patterns=list(listed.files)
            )
        )
        advice = f"fetch them: `hf download {config.path} --repo-type dataset --include '{listed.files[0]}'`"
    if missing := [file for file in listed.files if not any(folder.glob(file))]:
        msg = f"{config.path}: {missing[0]}, which its card names, is not on this machine; {advice}"
        raise DataError(msg)
    return folder


def _unavailable(config: HubConfig, reason: str) -> SetupError | DataError:
    if Path(config.path).is_dir():
        return DataError(f"{config.path}: cannot be prepared as a dataset of the hub ({reason})")
    return SetupError(
        f"the dataset {config.path!r} is not available from the hub ({reason}), nor in the hub's cache; "
        f"a run with a network or `hf download {config.path} --repo-type dataset` puts it there; "
        'for a copy on this machine write use = "parquet", or use = "disk" if save_to_disk wrote it'
    )


def _reason(error: BaseException) -> str:
    """Return the first line of the root cause: `datasets` wraps errors in one that says little."""
    return next(
        text
        for one in _causes(error)
        if (text := (str(one).strip().splitlines() or [type(one).__name__])[0][:200].rstrip("."))
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the root cause of an error, then the errors that it led to."""
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)
    yield error

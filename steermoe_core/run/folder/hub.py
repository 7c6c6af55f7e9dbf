"""Adapters on the Hugging Face hub: fetched as folders, pushed as repositories.

Tokens, caches and addresses are those of `huggingface_hub`: ``hf auth login``, HF_TOKEN, HF_HOME and
HF_ENDPOINT.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from steermoe_core.config.check.structurer import HUB, HUB_SOURCE
from steermoe_core.config.naming import first_line
from steermoe_core.errors import CheckpointError, SetupError, SteermoeError, UsageError
from steermoe_core.suggest import did_you_mean
from steermoe_core.system.hub import asking, expanded, report_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from steermoe_core.plugins import Registry

#: What an adapter repository holds, and all that is fetched of one.
FILES = ("adapter.json", "adapter.safetensors", "experiment.toml")
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


def adapter_folder(source: str | Path, registry: Registry) -> Path:
    """Return the folder of a trained adapter.

    :param source: a run folder, an adapter folder, the name of one that a plugin brings among its weights, or
        ``hub:OWNER/NAME[@REVISION]``, which is fetched.
    :raises UsageError: it is none of these.
    :raises SetupError: the hub or the plugin did not give it.
    """
    if str(source).startswith(HUB):
        return fetched(str(source))
    folder = Path(expanded(str(source)))
    if registry.find("weights", str(source)):
        report_folder(str(source), "the adapter that a plugin provides")
    if not folder.exists():
        folder = registry.weights_folder(str(source)) or folder
    for place in (folder, folder / "adapter"):
        if (place / "adapter.json").is_file():
            return place
    near = "" if folder.exists() else did_you_mean(str(source), registry.names("weights"))
    msg = (
        f"{source} holds no trained adapter: it is neither a finished run folder nor an adapter folder{near}"
    )
    raise UsageError(msg)


def fetched(source: str) -> Path:
    """Return a local copy of an adapter on the hub, fetched if it is not there or not the newest.

    :raises UsageError: it is not written as ``hub:OWNER/NAME[@REVISION]``, or holds no adapter.
    :raises SetupError: the hub did not give it.
    """
    found = HUB_SOURCE.fullmatch(source)
    if found is None:
        msg = f"{source} does not say where on the hub: write hub:OWNER/NAME or hub:OWNER/NAME@REVISION"
        raise UsageError(msg)
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    repo, revision = found.groups()
    with asking() as silence, _answering(source, silence):
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=list(FILES)))
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        msg = f"{source} holds no trained adapter: it has no {missing[0]}"
        raise UsageError(msg)
    return folder


def push(repo: str, files: Mapping[str, bytes], *, public: bool, message: str) -> str:
    """Put files into a model repository, in one commit; return its address.

    :param repo: OWNER/NAME; a new one is made, private unless `public`.
    :raises SetupError: the hub cannot be reached or does not know the user.
    :raises CheckpointError: the repository holds something else than an adapter.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    api = HfApi()
    with asking() as silence, _answering(f"{HUB}{repo}", silence):
        address = api.create_repo(repo, private=not public, exist_ok=True)
        there = set(api.list_repo_files(repo)) - {".gitattributes", "README.md", "LICENSE"}
        if there and "adapter.json" not in there:
            msg = (
                f"{HUB}{repo} holds something else than an adapter: {min(there)} is there and adapter.json "
                "is not; push to another name"
            )
            raise CheckpointError(msg)
        operations = [CommitOperationAdd(name, content) for name, content in files.items()]
        api.create_commit(repo, operations, commit_message=message)
    return str(address)


@contextmanager
def _answering(source: str, silence: str) -> Iterator[None]:
    """Turn what the hub's client raises into a sentence: who has to do what.

    :param silence: why the hub does not answer, if it does not.
    """
    from huggingface_hub import errors

    try:
        yield
    except SteermoeError:
        raise
    except (errors.GatedRepoError, errors.RepositoryNotFoundError) as error:
        msg = f"{source} is not on the hub, or this user may not see it; check the name, or {_LOG_IN}"
        raise SetupError(msg) from error
    except errors.RevisionNotFoundError as error:
        msg = f"{source} has no such revision; name a branch, a tag or a commit of it"
        raise SetupError(msg) from error
    except errors.HFValidationError as error:
        msg = f"{source} is no name that the hub takes ({error})"
        raise UsageError(msg) from error
    except errors.HfHubHTTPError as error:
        raise SetupError(_refused(source, error)) from error
    except errors.LocalTokenNotFoundError as error:
        msg = f"the hub needs a token for {source}; {_LOG_IN}"
        raise SetupError(msg) from error
    except Exception as error:  # OSError, and the kinds of a transport that differs between versions
        msg = f"{source}: the hub could not be reached ({silence or first_line(error)}); check the network"
        raise SetupError(msg) from error


def _refused(source: str, error: object) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return f"the hub does not let this user do that with {source} ({status}); {_LOG_IN} of one who may"
    return f"the hub refused {source} ({first_line(error)})"

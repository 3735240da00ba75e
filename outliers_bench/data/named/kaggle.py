"""Data sets from Kaggle, downloaded with its client kagglehub."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partialmethod
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from outliers_bench.data.download.checksum import DownloadError, compare_with_first
from outliers_bench.data.download.fetch import FIRST_PAUSE, TRIES
from outliers_bench.data.download.http_download import TIMEOUTS
from outliers_bench.runtime.http import root_cause
from outliers_bench.runtime.invocation import install_command

if TYPE_CHECKING:
    import requests

TOKENS = "https://www.kaggle.com/settings"


def download(handle: str, folder: Path, *, first_seen: Path) -> None:
    """Download and unpack a version of a data set.

    kagglehub resumes downloads, and verifies the MD5 that Kaggle's storage sends. There are no
    published digests, so the files are compared with the first download.

    Parameters
    ----------
    handle : str
        `<owner>/<data set>/versions/<number>`.
    folder : Path
        Target folder, created when the download is complete.
    first_seen : Path
        See `compare_with_first`.

    Raises
    ------
    DownloadError
        If kagglehub is not installed, Kaggle refuses or cannot be reached, or the files differ
        from the first download.
    """
    if find_spec("kagglehub") is None:
        raise DownloadError(f"kagglehub is required: {install_command('kaggle')}")
    import requests

    temporary = folder.with_name("kaggle")
    # Without these, kagglehub stores its files elsewhere, and waits forever for a silent server.
    cache = patch.dict(os.environ, KAGGLEHUB_CACHE=str(temporary))
    timeouts = patch.object(requests.Session, "send", partialmethod(_send, requests.Session.send))
    with cache, timeouts:
        files = _download_with_retries(handle)
    if mismatch := compare_with_first(handle, tree_digest(files), first_seen):
        shutil.rmtree(temporary, ignore_errors=True)
        raise DownloadError(f"{handle} on Kaggle: {mismatch}")
    if temporary in files.parents:
        files.rename(folder)
    else:  # mounted by Kaggle or Colab
        shutil.copytree(files, folder)
    shutil.rmtree(temporary, ignore_errors=True)


def tree_digest(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def _download_with_retries(handle: str) -> Path:
    import kagglehub  # type: ignore[import-untyped]
    import requests
    from kagglehub import exceptions

    # Its messages on standard output would mix with those of the run.
    logging.getLogger("kagglehub").setLevel(logging.WARNING)
    print(f"fetching {handle} from Kaggle", file=sys.stderr)
    for attempt in range(TRIES):
        if attempt:
            time.sleep(FIRST_PAUSE * 2 ** (attempt - 1))
        try:
            return Path(kagglehub.dataset_download(handle))
        except requests.HTTPError as error:
            status = None if error.response is None else error.response.status_code
            if status is None or status < 500:
                raise DownloadError(_refusal_message(status, error)) from None
            reason = f"Kaggle returned {status}"
        except exceptions.UnauthenticatedError as error:
            raise DownloadError(_refusal_message(None, error)) from None
        except (requests.RequestException, exceptions.DataCorruptionError) as error:
            reason = root_cause(error)
        except ValueError as error:  # unreadable credentials, an invalid archive
            raise DownloadError(f"kagglehub: {' '.join(str(error).split())}") from None
    raise DownloadError(f"Kaggle: {reason} ({TRIES} tries)")


def _send(
    session: requests.Session,
    send: Callable[..., Any],
    request: requests.PreparedRequest,
    **options: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401
    return send(session, request, **{**options, "timeout": options.get("timeout") or TIMEOUTS})


def _refusal_message(status: int | None, error: Exception) -> str:
    response = " ".join(str(error).split()) if status is None else f"{status}"
    return (
        f"Kaggle refuses ({response}); public data sets usually need no account; if one is "
        f"required, create a token at {TOKENS} and set KAGGLE_API_TOKEN to it"
    )

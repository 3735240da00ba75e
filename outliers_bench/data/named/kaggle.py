"""Data sets from Kaggle, by its own client: kagglehub."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from outliers_bench.data.download.checksum import DownloadError, FirstSeen
from outliers_bench.data.download.fetch import FIRST_PAUSE, TRIES_UNANSWERED
from outliers_bench.data.download.http_download import TIMEOUTS, said
from outliers_bench.runtime.invocation import install

TOKENS = "https://www.kaggle.com/settings"


def download(handle: str, folder: Path, *, seen: FirstSeen) -> None:
    """Download a version of a data set, unpacked.

    kagglehub takes up what was begun, and compares with the MD5 that Kaggle's storage names. What
    comes is held against the first download, since nobody publishes a digest.

    Parameters
    ----------
    handle : str
        `<owner>/<data set>/versions/<number>`.
    folder : Path
        Made here, when all is complete.
    seen : FirstSeen
        Digests at the first download.

    Raises
    ------
    DownloadError
        If kagglehub is not installed, Kaggle refuses or cannot be reached, or the files are not
        those of the first download.
    """
    if find_spec("kagglehub") is None:
        raise DownloadError(f"it needs kagglehub: {install('kaggle')}")
    own = folder.with_name("kaggle")
    with _settings(own):
        found = _tried(handle)
    digest = tree_digest(found)
    first = seen.digest(handle)
    if first is None:
        seen.note(handle, digest)
    elif digest != first:
        shutil.rmtree(own, ignore_errors=True)
        raise DownloadError(
            f"its files are not those of the first download; if Kaggle has changed them, remove "
            f"{seen.file}"
        )
    if own in found.parents:
        found.rename(folder)
    else:  # where Kaggle or Colab have it mounted
        shutil.copytree(found, folder)
    shutil.rmtree(own, ignore_errors=True)


def tree_digest(folder: Path) -> str:
    """SHA-256 of the names and contents of all files below a folder."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                inside = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.relative_to(folder).as_posix()}\0{inside}\n".encode())
    return whole.hexdigest()


def _tried(handle: str) -> Path:
    import kagglehub  # type: ignore[import-untyped]
    import requests
    from kagglehub import exceptions

    # It tells on standard output what it does, between the lines of a run.
    logging.getLogger("kagglehub").setLevel(logging.WARNING)
    print(f"fetching {handle} from Kaggle", file=sys.stderr)
    for attempt in range(TRIES_UNANSWERED):
        try:
            return Path(kagglehub.dataset_download(handle))
        except requests.HTTPError as error:
            status = None if error.response is None else error.response.status_code
            if status is None or status < 500:
                raise DownloadError(_refused(status, error)) from None
            why = f"Kaggle answers {status}"
        except exceptions.UnauthenticatedError as error:
            raise DownloadError(_refused(None, error)) from None
        except (requests.RequestException, exceptions.DataCorruptionError) as error:
            why = said(error)
        except ValueError as error:  # credentials that cannot be read, an archive that is none
            raise DownloadError(f"kagglehub: {' '.join(str(error).split())}") from None
        if attempt < TRIES_UNANSWERED - 1:
            time.sleep(FIRST_PAUSE * 2**attempt * random.uniform(0.8, 1.2))  # noqa: S311
    raise DownloadError(f"Kaggle: {why} ({TRIES_UNANSWERED} tries)")


def _refused(status: int | None, error: Exception) -> str:
    answer = " ".join(str(error).split()) if status is None else f"{status}"
    return (
        f"Kaggle refuses ({answer}); public data sets need no account as a rule, and where it asks "
        f"for one, make a token at {TOKENS} and set KAGGLE_API_TOKEN to it"
    )


@contextmanager
def _settings(cache: Path) -> Iterator[None]:
    """Let kagglehub keep its files in a folder, and wait for nobody for ever."""
    import requests

    name = "KAGGLEHUB_CACHE"
    before, send = os.environ.get(name), requests.Session.send

    def in_time(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:  # noqa: ANN401
        options["timeout"] = options.get("timeout") or TIMEOUTS
        return send(self, request, **options)

    os.environ[name] = str(cache)
    requests.Session.send = in_time  # type: ignore[method-assign]
    try:
        yield
    finally:
        requests.Session.send = send  # type: ignore[method-assign]
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before

"""Options of `python -m outliers_bench.submit` and their checks."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.apps.submit.names import Names
from outliers_bench.apps.submit.post import check_url
from outliers_bench.errors import BenchError
from outliers_bench.tracking.lookup import check_store_exists

PROGRAM = "python -m outliers_bench.submit"
TOKEN_VARIABLE = "OUTLIERS_BENCH_TOKEN"  # noqa: S105 - name of the variable, not the token
_MAX_TOKEN_BYTES = 4096


@dataclass
class Submit:
    """Submit a run's ranking to a competition and record the scores.

    Sends {"groupname": ..., "images": {"<query file>": ["<gallery file>", ...]}}, best first, and
    prints the results or the accuracy in the response, at any nesting depth. They are logged as
    metrics submission/... of the run in MLflow, with the submission under submissions/. A copy of
    the submission always stays on disk. Exit code: 1 for errors of the server, 2 for other errors.

    Parameters
    ----------
    run : str
        Id of the run, a prefix of it (four digits or more), or last for the run that finished
        last.
    group : str
        Name of the submitting group.
    url : str or None
        URL of the competition, such as https://competition.example/retrieval/.
    n : int
        Number of gallery images per query.
    names : Names
        Names of the files in the submission: base (after the last slash), path (below query/ and
        gallery/), or auto (base names, unless two files of the run share one).
    dry_run : str or None
        Write the submission to this file and send nothing.
    folder : str
        Folder for submissions and responses.
    token_file : str or None
        File with the token for the header Authorization: Bearer; null means the environment
        variable OUTLIERS_BENCH_TOKEN, or no token. The token is never printed or recorded.
    timeout : float
        Seconds to wait for the response.
    retries : int
        Number of retries, after 1, 2, 4, ... seconds. Only without a response, or after 502, 503
        or 504 from a proxy: in other cases, the submission might count twice.
    uri : str
        MLflow tracking URI; as tracking.uri of a run.
    """

    run: str = MISSING
    group: str = MISSING
    url: str | None = None
    n: int = 10
    names: Names = Names.auto
    dry_run: str | None = None
    folder: str = "submissions"
    token_file: str | None = None
    timeout: float = 60.0
    retries: int = 3
    uri: str = "sqlite:///mlflow.db"

    def check(self) -> None:
        """Raise `BenchError` if an option is out of range, or no run can have been recorded."""
        if self.n < 1:
            raise BenchError(f"n={self.n}: give the number of gallery images per query, 1 or more")
        if not self.group.strip():
            raise BenchError("group=: give the group's name")
        try:
            self.group.encode()
        except UnicodeEncodeError:
            raise BenchError(f"group={self.group!r}: not valid UTF-8") from None
        if not 0 < self.timeout <= 86_400:
            raise BenchError(f"timeout={self.timeout}: give seconds, more than 0, at most 86400")
        if not 0 <= self.retries <= 10:
            raise BenchError(f"retries={self.retries}: give 0 to 10")
        if self.dry_run is not None:
            _check_file(self.dry_run)
        elif self.url is None:
            raise BenchError(
                "url is missing: give the URL of the competition, or dry_run=<file> to write the "
                f"submission without sending it; see {PROGRAM} --help"
            )
        else:
            check_url(self.url)
        get_token(self.token_file)
        check_store_exists(self.uri)


def get_token(token_file: str | None) -> str | None:
    """Return the token from a file or the environment; it is no option, since `ps` shows those.

    Raises
    ------
    BenchError
        If the file has no token, or the token does not fit into a header.
    """
    source, token = TOKEN_VARIABLE, os.environ.get(TOKEN_VARIABLE) or None
    if token_file is not None:
        source = "token_file="  # without its value, which may be the token by mistake
        try:
            with Path(token_file).open("rb") as file:
                token = file.read(_MAX_TOKEN_BYTES + 1).decode(errors="replace").strip()
        except OSError as error:
            raise BenchError(
                f"{source}: the file cannot be read ({error.strerror}); give the name of a file "
                "with the token in it"
            ) from None
        if not token or len(token) > _MAX_TOKEN_BYTES:
            raise BenchError(f"{source}: put the token into it, alone and on one line")
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise BenchError(f"{source}: the token has characters that cannot be sent")
    return token


def _check_file(dry_run: str) -> None:
    path = Path(dry_run)
    # An atomic write would replace a device or a pipe with a file.
    if dry_run in ("", "true", "false") or (path.exists() and not path.is_file()):
        raise BenchError(f"dry_run={dry_run}: give the name of the file to write")
    if not path.parent.is_dir():
        raise BenchError(f"dry_run={dry_run}: there is no folder {path.parent}")

"""What can be said on the command line, and what is refused before anything is done."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.apps.submit.http_client import check_url
from outliers_bench.apps.submit.names import Names
from outliers_bench.errors import BenchError
from outliers_bench.tracking.lookup import check_store_exists

PROGRAM = "python -m outliers_bench.submit"
TOKEN = "OUTLIERS_BENCH_TOKEN"  # noqa: S105 - where it stands, not what it is


@dataclass
class Submit:
    """Hand in a run's ranking to a competition, and record what it scored.

    Sends {"groupname": ..., "images": {"<query file>": ["<gallery file>", ...]}}, best first, and
    shows the results or the accuracy that the server answers, however nested. They become metrics
    submission/... of the run in MLflow, with what was sent under submissions/. What was sent is
    kept on disk, too, whatever happens. Exit code: 1 for the server's mistakes, 2 for one's own.

    Parameters
    ----------
    run : str
        Which run: its id, four or more digits that it begins with, or last, for the one that
        finished last.
    group : str
        Name of the group that hands in.
    url : str or None
        Address of the competition, such as https://competition.example/retrieval/.
    n : int
        How many gallery images a query.
    names : Names
        What the competition calls its files: base (what follows the last slash), path (below
        query/ and gallery/), or auto (base names, unless two files of the run share one).
    dry_run : str or None
        Write the submission to this file and send nothing.
    folder : str
        Where submissions and answers are kept.
    token : str or None
        Sent as Authorization: Bearer; better given in the environment's OUTLIERS_BENCH_TOKEN, for
        others on this machine can read command lines. It is never shown or recorded.
    timeout : float
        Seconds to wait for the answer.
    retries : int
        How often to try again after 1, 2, 4, ... seconds. Only where nothing was answered or a
        proxy said 502, 503 or 504: repeated after anything else, a submission might count twice.
    uri : str
        Where runs are recorded; as tracking.uri of a run.
    """

    run: str = MISSING
    group: str = MISSING
    url: str | None = None
    n: int = 10
    names: Names = Names.auto
    dry_run: str | None = None
    folder: str = "submissions"
    token: str | None = None
    timeout: float = 60.0
    retries: int = 3
    uri: str = "sqlite:///mlflow.db"

    def check(self) -> None:
        """Refuse what cannot work.

        Raises
        ------
        BenchError
            If an option is out of range, or no run can have been recorded.
        """
        if self.n < 1:
            raise BenchError(f"n={self.n}: give how many gallery images a query, 1 or more")
        if not self.group.strip():
            raise BenchError("group=: give the group's name")
        try:
            self.group.encode()
        except UnicodeEncodeError:
            raise BenchError(f"group={self.group!r}: that is no text in UTF-8") from None
        if not 0 < self.timeout <= 86_400:
            raise BenchError(f"timeout={self.timeout}: give seconds, more than 0, at most 86400")
        if not 0 <= self.retries <= 10:
            raise BenchError(f"retries={self.retries}: give 0 to 10")
        if self.dry_run is not None:
            _check_file(self.dry_run)
        elif self.url is None:
            raise BenchError(
                "url is missing: give the competition's address, or dry_run=<file> to look at "
                f"what would be sent; see {PROGRAM} --help"
            )
        else:
            check_url(self.url)
        token_of(self.token)
        check_store_exists(self.uri)


def token_of(given: str | None) -> str | None:
    """The token, of the option or the environment.

    Raises
    ------
    BenchError
        If a header cannot hold it.
    """
    token = given or os.environ.get(TOKEN) or None
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise BenchError(f"the token (token= or {TOKEN}) has letters that cannot be sent")
    return token


def _check_file(dry_run: str) -> None:
    path = Path(dry_run)
    # Of a device or a pipe, writing whole or not at all would make a file.
    if dry_run in ("", "true", "false") or (path.exists() and not path.is_file()):
        raise BenchError(f"dry_run={dry_run}: name the file to write")
    if not path.parent.is_dir():
        raise BenchError(f"dry_run={dry_run}: there is no folder {path.parent}")

"""What can be said on the command line of a competition, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from outliers_bench.apps.submit.names import Names
from outliers_bench.apps.submit.options import token_of
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metric_names import is_score

PROGRAM = "python -m outliers_bench.competition"


@dataclass
class Competition:
    """Run a retrieval competition for a class: take submissions, score them, show who leads.

    1. Lay out labeled photos as photos/query/<class>/ and photos/gallery/<class>/, and give each
       a file name that is its only one and tells nothing, such as q0001.jpg.
    2. Give the class the same files in two folders query and gallery, without classes.
    3. Start this server with root=photos. Groups hand in by POST of JSON to /retrieval/ or
       /results/: {"groupname": ..., "images": {"<query file>": ["<gallery file>", ...]}}, best
       first; with this package: python -m outliers_bench.submit run=last group=... url=...
    4. The leaderboard is at /, its data at /leaderboard.json, the file names at /files.

    It listens to this machine alone; host=0.0.0.0 lets others in. Nobody proves which group they
    are: a token keeps strangers out, the class has to be honest. Submissions are on disk when they
    are answered; the server may be stopped and started at any time. Ctrl-C ends it.

    Parameters
    ----------
    root : str or None
        The folder with query/ and gallery/, a folder for each class in them.
    manifest : str or None
        Instead of root: a table with the columns path, label and split, as for data=manifest.
    host : str
        Address to listen at.
    port : int
        Port to listen at; 0 takes a free one.
    token : str or None
        Submissions need it, as Authorization: Bearer; better given in the environment's
        OUTLIERS_BENCH_TOKEN. Who can reach the server sees the leaderboard without.
    store : str
        SQLite file of the submissions.
    max_rank : int
        How many gallery images a query may have.
    max_bytes : int or None
        How large a submission may be; null takes what its files need.
    k : list of int
        Cut-offs of hit rate and precision.
    metric : str
        What the leaderboard is ordered by.
    per_minute : int
        How many submissions an address may send within a minute, refused ones too.
    per_hour : int
        How many submissions of a group are accepted within an hour.
    public : bool
        Whether scores are shown; with false they are once the deadline has passed.
    deadline : str or None
        When it closes, such as 2026-12-24T18:00, in this machine's time where none is said.
    names : Names
        What the files are called: base (what follows the last slash), or path (below query/ and
        gallery/), which tells the classes and so does for a rehearsal only; auto is base.
    cache : str or None
        Where digests of the photos are kept; null takes the environment's OUTLIERS_BENCH_CACHE or
        ~/.cache/outliers_bench.
    """

    root: str | None = None
    manifest: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    store: str = "competition.db"
    max_rank: int = 100
    max_bytes: int | None = None
    k: list[int] = field(default_factory=lambda: [1, 3, 5, 10])
    metric: str = "hit_at_1"
    per_minute: int = 60
    per_hour: int = 60
    public: bool = True
    deadline: str | None = None
    names: Names = Names.auto
    cache: str | None = None

    def check(self) -> None:
        """Refuse what is out of range.

        Raises
        ------
        BenchError
            Names the option.
        """
        for name in ("max_rank", "per_minute", "per_hour"):
            if getattr(self, name) < 1:
                raise BenchError(f"{name}={getattr(self, name)}: give 1 or more")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise BenchError(f"max_bytes={self.max_bytes}: give 1 or more, or null")
        if not self.k or min(self.k) < 1:
            raise BenchError(f"k={self.k}: give cut-offs of 1 or more, such as k=[1,5,10]")
        if not is_score(self.metric) or self.metric == "mrr":
            raise BenchError(
                f"metric={self.metric}: give what a submission is scored by: hit_at_<k> or "
                "precision_at_<k>, map_at_r or r_precision"
            )
        cut_off = self.metric.rpartition("_at_")[2]
        if cut_off.isdecimal() and int(cut_off) not in self.k:
            raise BenchError(f"metric={self.metric}: {cut_off} is not among k={self.k}; add it")
        if not 0 <= self.port < 2**16:
            raise BenchError(f"port={self.port}: give 0 to 65535")
        closing(self.deadline)
        token_of(self.token)


def closing(given: str | None) -> datetime | None:
    """When a competition closes, with its time zone; None where it does not.

    Raises
    ------
    BenchError
        If that is no time.
    """
    if given is None:
        return None
    try:
        return datetime.fromisoformat(given).astimezone()
    except (ValueError, OverflowError):
        raise BenchError(
            f"deadline={given}: give a day and time, such as 2026-12-24T18:00"
        ) from None

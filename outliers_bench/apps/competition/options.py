"""Options of `python -m outliers_bench.competition`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from outliers_bench.apps.submit.names import Names
from outliers_bench.apps.submit.options import get_token
from outliers_bench.data.boxes import BoxUse
from outliers_bench.data.labels import MissingLabels
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metrics import cutoff_of
from outliers_bench.web.addresses import parse_networks
from outliers_bench.web.site_guard import parse_host

PROGRAM = "python -m outliers_bench.competition"


@dataclass
class Competition:
    """Run a retrieval competition for a course: accept and score submissions, show a leaderboard.

    1. Lay out labeled photos as photos/query/<class>/ and photos/gallery/<class>/. Give each photo
       a unique file name without meaning, such as q0001.jpg.
    2. Hand out the same files in two folders query and gallery, without class folders.
    3. Start this server with root=photos. Groups submit by POST of JSON to /retrieval/ or
       /results/: {"groupname": ..., "images": {"<query file>": ["<gallery file>", ...]}}, best
       first; with this package: python -m outliers_bench.submit run=last group=... url=...
    4. The leaderboard is at /, its data at /leaderboard.json, the file names at /files.

    By default, only this machine can connect; host=0.0.0.0 allows others. Group names are not
    authenticated: a token excludes strangers, but one group can use the name of another.
    Submissions are on disk before they are confirmed, so the server may be stopped and started at
    any time. Ctrl-C ends it.

    Parameters
    ----------
    root : str or None
        Folder with query/ and gallery/, each with one folder per class.
    manifest : str or None
        Table with the columns path, label and split, as for data=manifest, instead of root.
    missing_labels : MissingLabels
        Images whose label is empty, NA, unknown or the like: error, exclude (from the scores), or
        class.
    boxes : BoxUse
        Boxes in the table: crop (each is an image, named photo#left,top,width,height) or ignore.
    exclude_same : list of str
        Columns of the table, such as [camera]: gallery images of the query's class and value do not
        count, and are skipped where a group ranks them.
    host : str
        Address to listen at.
    port : int
        Port to listen at; 0 selects a free one.
    allowed_hosts : list of str
        Names under which the server is reached, such as [competition.example] behind a proxy;
        requests for other names are refused. If empty, and only this machine can connect, only
        localhost and its addresses are accepted.
    trusted_proxies : list of str
        Addresses or networks of proxies, such as [127.0.0.1], whose header X-Forwarded-For has the
        address of the client.
    token_file : str or None
        File with the token that submissions must send as Authorization: Bearer; null means the
        environment variable OUTLIERS_BENCH_TOKEN, or no token. The leaderboard is visible without
        it.
    store : str
        SQLite file for the submissions.
    max_rank : int
        Maximum number of gallery images per query.
    max_bytes : int or None
        Maximum size of a submission; null computes it from the file names.
    k : list of int
        Cutoffs of hit rate and precision.
    metric : str
        Metric that the leaderboard is sorted by.
    per_minute : int
        Maximum number of submissions per minute and IP address, refused ones included.
    per_hour : int
        Maximum number of accepted submissions per hour, of an address as well as of a group.
    per_day : int
        Maximum number of accepted submissions in 24 hours, of an address as well as of a group.
    public_share : float
        Share of the queries that scores are shown of before the deadline; those of the others, the
        private part, decide after it, and are shown by results=. 1 means all queries, whose labels
        many submissions can then recover.
    results : str or None
        Write the final leaderboard, of the private part, to this JSON file and end.
    public : bool
        Whether scores are shown before the deadline.
    deadline : str or None
        Closing time, such as 2026-12-24T18:00; in local time unless it has an offset.
    names : Names
        Style of the file names: base (after the last slash) or path (below query/ and gallery/),
        which reveals the classes and is meant for rehearsals; auto means base.
    cache : str or None
        Cache folder for the digests of the photos; null means the environment variable
        OUTLIERS_BENCH_CACHE or ~/.cache/outliers_bench.
    """

    root: str | None = None
    manifest: str | None = None
    missing_labels: MissingLabels = MissingLabels.error
    boxes: BoxUse = BoxUse.crop
    exclude_same: list[str] = field(default_factory=list)
    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: list[str] = field(default_factory=list)
    trusted_proxies: list[str] = field(default_factory=list)
    token_file: str | None = None
    store: str = "competition.db"
    max_rank: int = 100
    max_bytes: int | None = None
    k: list[int] = field(default_factory=lambda: [1, 3, 5, 10])
    metric: str = "hit_at_1"
    per_minute: int = 60
    per_hour: int = 60
    per_day: int = 100
    public_share: float = 0.5
    results: str | None = None
    public: bool = True
    deadline: str | None = None
    names: Names = Names.auto
    cache: str | None = None

    def check(self) -> None:
        """Raise `BenchError` if an option is invalid."""
        for name in ("max_rank", "per_minute", "per_hour", "per_day"):
            if getattr(self, name) < 1:
                raise BenchError(f"{name}={getattr(self, name)}: give 1 or more")
        if not 0 < self.public_share <= 1:
            raise BenchError(f"public_share={self.public_share}: give more than 0, at most 1")
        if self.results in ("", "true", "false"):
            raise BenchError(f"results={self.results}: give the name of the file to write")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise BenchError(f"max_bytes={self.max_bytes}: give 1 or more, or null")
        if not self.k or min(self.k) < 1:
            raise BenchError(f"k={self.k}: give cutoffs of 1 or more, such as k=[1,5,10]")
        is_family = cutoff_of(self.metric) is not None and "/" not in self.metric
        if not is_family and self.metric not in ("map_at_r", "r_precision"):
            raise BenchError(
                f"metric={self.metric}: give a metric of submissions: hit_at_<k>, "
                "precision_at_<k>, map_at_<k>, map_at_r or r_precision"
            )
        cut_off = self.metric.rpartition("_at_")[2]
        if cut_off.isdecimal() and int(cut_off) not in self.k:
            raise BenchError(f"metric={self.metric}: {cut_off} is not among k={self.k}; add it")
        if not 0 <= self.port < 2**16:
            raise BenchError(f"port={self.port}: give 0 to 65535")
        for name in self.allowed_hosts:
            parse_host(name)
        parse_networks(self.trusted_proxies)
        self._closing()
        get_token(self.token_file)

    def is_closed(self, now: float) -> bool:
        """Check whether the deadline has passed."""
        closing = self._closing()
        return closing is not None and now > closing.timestamp()

    def shows_scores(self, now: float) -> bool:
        """Check whether scores are shown."""
        return self.public or self.is_closed(now)

    def part(self, *, is_final: bool) -> str:
        """Return the part of the queries whose scores count: all, public or private."""
        if self.public_share == 1:
            return "all"
        return "private" if is_final else "public"

    @property
    def deadline_text(self) -> str:
        """Deadline for messages; empty if there is none."""
        closing = self._closing()
        return "" if closing is None else closing.isoformat(" ", "minutes")

    def _closing(self) -> datetime | None:
        """Return the deadline, in local time unless it has an offset."""
        if self.deadline is None:
            return None
        try:
            return datetime.fromisoformat(self.deadline).astimezone()
        except (ValueError, OverflowError):
            raise BenchError(
                f"deadline={self.deadline}: give a date and time, such as 2026-12-24T18:00"
            ) from None

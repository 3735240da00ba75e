"""The options of `python -m outliers_bench.collect`."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from outliers_bench.apps.collect.url_list import refused_url
from outliers_bench.data.opencv import MAX_PIXELS
from outliers_bench.errors import BenchError


@dataclass
class Collect:
    """Collect images from the web into class folders, with a manifest of where each came from.

    Parameters
    ----------
    into : str
        The folder; `collected.csv` in it says where each image came from, `not_collected.csv` what
        is not there and why. The same command again goes on from there.
    urls : str or null
        List of images: a table (.csv, .tsv) with the columns url and, if wanted, label and
        license; or a .txt file with a URL on each line.
    page : str or null
        Address of a web page whose images are collected, instead of a list.
    pages : int
        How many pages to go through, by their links to the next one.
    next : str or null
        CSS selector of the link to the next page; null for the link with rel=next.
    label : str or null
        What the images show, where the list does not say.
    license : str or null
        Under which they may be used, where neither the list nor the page says.
    contact : str or null
        Your e-mail or web address, told to the servers, so that whoever runs them can reach you.
    robots : bool
        Whether to keep to robots.txt.
    per_host : int
        Images of one host that are on their way at the same time.
    delay : float
        Seconds between two requests to one host, on average; more where the host is slow or its
        robots.txt asks for more.
    concurrency : int
        Images on their way at the same time, from all hosts.
    timeout : float
        Seconds that an image may take.
    retries : int
        How often to try again, in this run, what broke off, or met a busy server.
    max_mb : float
        Megabytes (10^6 bytes) that an image may have.
    min_side : int
        Pixels that width and height must have.
    max_pixels : int
        Pixels that an image may have.
    again : bool
        Whether to ask again also for what failed for good (404, not an image, too small) or was
        deleted.
    allow_private : bool
        Whether addresses inside private networks and on this machine may be connected to, and the
        environment's proxies used.
    """

    into: str = MISSING
    urls: str | None = None
    page: str | None = None
    pages: int = 1
    next: str | None = None
    label: str | None = None
    license: str | None = None
    contact: str | None = None
    robots: bool = True
    per_host: int = 2
    delay: float = 0.5
    concurrency: int = 16
    timeout: float = 30.0
    retries: int = 4
    max_mb: float = 20.0
    min_side: int = 64
    max_pixels: int = MAX_PIXELS
    again: bool = False
    allow_private: bool = False

    def check(self) -> None:
        """See that the options make sense.

        Raises
        ------
        BenchError
            If one is out of its range, or it is not clear what to collect.
        """
        at_least = {"pages": 1, "per_host": 1, "concurrency": 1, "retries": 0, "min_side": 1}
        for name, least in at_least.items():
            if getattr(self, name) < least:
                raise BenchError(f"{name}={getattr(self, name)}: must be at least {least}")
        for name in ("timeout", "max_mb"):
            if not 0 < getattr(self, name) < float("inf"):
                raise BenchError(f"{name}={getattr(self, name)}: must be more than 0")
        if not 0 <= self.delay < float("inf"):
            raise BenchError(f"delay={self.delay}: must be 0 or more seconds")
        if not 0 < self.max_pixels <= MAX_PIXELS:
            raise BenchError(f"max_pixels={self.max_pixels}: must be from 1 to {MAX_PIXELS}")
        if self.contact is not None and not (self.contact.isascii() and self.contact.isprintable()):
            raise BenchError(f"contact={self.contact}: plain ASCII, such as me@example.org, please")
        self._check_source()

    def _check_source(self) -> None:
        """There is a list or a page, and a page has a label."""
        if (self.urls is None) == (self.page is None):
            raise BenchError(
                "say what to collect: either urls=list.csv, with the columns url and label, or "
                "page=<url> label=<what its images show>"
            )
        if self.page is None:
            if self.pages != 1 or self.next is not None:
                raise BenchError("pages= and next= go with page=, not with urls=")
            return
        if not (self.label or "").strip():
            raise BenchError(f"page={self.page}: say what its images show, with label=")
        why = refused_url(self.page)
        if why is not None:
            raise BenchError(f"page={self.page} {why}")

"""The options of `python -m outliers_bench.collect`."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from outliers_bench.data.labels import normalize
from outliers_bench.data.opencv import MAX_PIXELS
from outliers_bench.errors import BenchError
from outliers_bench.runtime.http import url_error

CRAWLER_NAME = "outliers-bench"
"""Name of this crawler in robots.txt and in the User-Agent header."""


@dataclass
class Collect:
    """Collect images from the web into class folders, with a table of their sources.

    Parameters
    ----------
    into : str
        Output folder. `collected.csv` in it lists the images with their sources,
        `not_collected.csv` the others with reasons. The same command again continues from there.
    urls : str or null
        List of images: a table (.csv, .tsv) with the column url and optionally label and license;
        or a .txt file with one URL per line.
    page : str or null
        URL of a web page whose images are collected, instead of a list.
    pages : int
        Number of pages to read, following the links to the next page.
    next : str or null
        CSS selector of the link to the next page; null means the link with rel=next.
    label : str or null
        Class of the images, where the list has none.
    license : str or null
        License of the images, where neither the list nor the page has one.
    contact : str or null
        Your email or web address, sent to the servers so that their operators can reach you.
    robots : bool
        Whether to obey robots.txt.
    per_host : int
        Maximum number of simultaneous requests per host.
    delay : float
        Average number of seconds between two requests to a host; more if the host is slow or its
        robots.txt requests it.
    concurrency : int
        Maximum number of simultaneous requests to all hosts.
    timeout : float
        Maximum number of seconds per image.
    retries : int
        Number of retries, in this run, after an interrupted connection or a busy server.
    max_mb : float
        Maximum file size in megabytes (10^6 bytes).
    min_side : int
        Minimum width and height in pixels.
    max_pixels : int
        Maximum number of pixels.
    again : bool
        Whether to request again images that failed permanently (404, not an image, too small) or
        were deleted.
    allow_private : bool
        Whether to allow connections to private networks and this machine, and the proxies of the
        environment.
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
        """Raise `BenchError` if an option is out of range, or there is no or no clear source."""
        least_of = dict.fromkeys(("pages", "per_host", "concurrency", "min_side"), 1)
        for name, least in (least_of | {"retries": 0, "delay": 0}).items():
            if not least <= getattr(self, name) < float("inf"):
                raise BenchError(f"{name}={getattr(self, name)}: must be at least {least}")
        for name in ("timeout", "max_mb"):
            if not 0 < getattr(self, name) < float("inf"):
                raise BenchError(f"{name}={getattr(self, name)}: must be more than 0")
        if not 0 < self.max_pixels <= MAX_PIXELS:
            raise BenchError(f"max_pixels={self.max_pixels}: must be from 1 to {MAX_PIXELS}")
        if self.contact is not None and not (self.contact.isascii() and self.contact.isprintable()):
            raise BenchError(f"contact={self.contact}: must be plain ASCII, such as me@example.org")
        self._check_source()

    def _check_source(self) -> None:
        """Check that there is either a list, or a page with a label."""
        if (self.urls is None) == (self.page is None):
            raise BenchError(
                "give the images to collect: either urls=list.csv, with the columns url and label, "
                "or page=<url> label=<class of its images>"
            )
        if self.page is None:
            if self.pages != 1 or self.next is not None:
                raise BenchError("pages= and next= apply to page=, not to urls=")
            return
        if not normalize(self.label or ""):
            raise BenchError(f"page={self.page}: give the class of its images as label=")
        error = url_error(self.page)
        if error is not None:
            raise BenchError(f"page={self.page} {error}")

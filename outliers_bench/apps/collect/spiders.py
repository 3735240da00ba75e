"""The two crawls: pages for the images on them, and images."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from scrapy import Spider
from scrapy.exceptions import CloseSpider
from scrapy.http import Request, Response, TextResponse
from twisted.python.failure import Failure

from outliers_bench.apps.collect.collection import Collection
from outliers_bench.apps.collect.failures import of_error, of_status
from outliers_bench.apps.collect.image_check import RefusedPictureError, examine
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.page_images import read_page
from outliers_bench.apps.collect.url_list import Wanted, one_label, refused_url
from outliers_bench.errors import BenchError
from outliers_bench.runtime.machine import cores

_DECODED_AT_ONCE = 4  # each may hold an image of 400 MB


class Images(Spider):
    """Asks for images, looks into them and hands them to the collection.

    Parameters
    ----------
    todo : sequence of Wanted
        What to ask for.
    into : Collection
        Where it goes.
    options : Collect
        The user's choices.
    told : callable
        Called after each image.
    """

    name = "images"

    def __init__(
        self,
        *,
        todo: Sequence[Wanted],
        into: Collection,
        options: Collect,
        told: Callable[[], None],
        **known: Any,  # noqa: ANN401 - Scrapy's
    ) -> None:
        super().__init__(self.name, **known)
        self._todo, self._into, self._options, self._told = todo, into, options, told
        self._decoding = asyncio.Semaphore(min(cores(), _DECODED_AT_ONCE))
        self.broken: BenchError | None = None

    async def start(self) -> AsyncIterator[Request]:
        """One request for each image."""
        for wanted in self._todo:
            why = refused_url(wanted.url)
            if why is not None:
                self._refuse(wanted, "address", why)
                continue
            yield Request(
                wanted.url,
                callback=self.arrived,
                errback=self.failed,
                dont_filter=True,  # the list has each URL once
                cb_kwargs={"wanted": wanted},
            )

    async def arrived(self, response: Response, wanted: Wanted) -> None:
        """Keep what is an image."""
        if response.status != 200:
            self._refuse(wanted, *of_status(response.status), final_url=response.url)
            return
        try:
            async with self._decoding:
                picture = await asyncio.to_thread(
                    examine,
                    response.body,
                    min_side=self._options.min_side,
                    max_pixels=self._options.max_pixels,
                )
        except RefusedPictureError as error:
            # Without a length, a connection that broke off looks like a file that ended.
            partial = error.status == "damaged" and "partial" in response.flags
            status = "network" if partial else error.status
            self._refuse(wanted, status, str(error), final_url=response.url)
            return
        with self._noted():
            self._into.keep(wanted, picture, response.body, final_url=response.url)

    def failed(self, failure: Failure) -> None:
        """Note what did not arrive."""
        request: Request = failure.request  # type: ignore[attr-defined]
        status, why = of_error(failure.value, self._options)
        self._refuse(request.cb_kwargs["wanted"], status, why, final_url=request.url)

    def _refuse(self, wanted: Wanted, status: str, why: str, *, final_url: str = "") -> None:
        with self._noted():
            self._into.refuse(wanted, status, why, final_url=final_url)

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Count what the block notes; end the crawl if that cannot be written."""
        try:
            yield
        except BenchError as error:
            self.broken = error
            raise CloseSpider("broken") from error
        self._told()


class Pages(Spider):
    """Asks for a page, and those after it, and lists the images on them.

    Parameters
    ----------
    options : Collect
        The user's choices.
    found : list of Wanted
        Where the images are put.
    """

    name = "pages"

    def __init__(self, *, options: Collect, found: list[Wanted], **known: Any) -> None:  # noqa: ANN401
        super().__init__(self.name, **known)
        self._options, self._found = options, found
        self._label = one_label(options.label)
        self._seen: set[str] = set()
        self.broken: BenchError | None = None

    async def start(self) -> AsyncIterator[Request]:
        """The first page."""
        yield self._request(str(self._options.page))

    async def parse(self, response: Response) -> AsyncIterator[Request]:
        """The images of a page, and the next page."""
        if response.status != 200:
            self._stop(response.url, of_status(response.status)[1])
        elif not isinstance(response, TextResponse):
            self._stop(response.url, "is no web page; for a single image use urls=")
        else:
            try:
                page = read_page(response.text, response.url, following=self._options.next)
            except ValueError as error:
                self.broken = BenchError(f"next={self._options.next} is {error}")
                return
            license = page.license or self._options.license or ""
            self._found += [Wanted(u, self._label, license, response.url) for u in page.images]
            follow = page.following
            if follow and follow not in self._seen and len(self._seen) < self._options.pages:
                yield self._request(follow)

    def failed(self, failure: Failure) -> None:
        """Tell why a page is not there."""
        request: Request = failure.request  # type: ignore[attr-defined]
        self._stop(request.url, of_error(failure.value, self._options)[1])

    def _request(self, url: str) -> Request:
        self._seen.add(url)
        return Request(url, callback=self.parse, errback=self.failed, dont_filter=True)

    def _stop(self, url: str, why: str) -> None:
        self.broken = BenchError(f"page {url}: {why}")

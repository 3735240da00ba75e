"""Scrapy spiders: one finds the images of web pages, the other downloads images."""

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
from outliers_bench.apps.collect.failures import classify_error, classify_response
from outliers_bench.apps.collect.image_check import RejectedImageError, check_image
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.page_images import read_page
from outliers_bench.apps.collect.url_list import ListedImage, normalize_label
from outliers_bench.errors import BenchError
from outliers_bench.runtime.http import url_error
from outliers_bench.runtime.machine import cores

_MAX_DECODERS = 4  # each may hold an image of 400 MB


class ImageSpider(Spider):
    """Download images, check them and add them to the collection.

    Parameters
    ----------
    pending : sequence of ListedImage
        Images to request.
    collection : Collection
        Destination.
    options : Collect
        The user's options.
    on_image : callable
        Called after each image.
    """

    name = "images"

    def __init__(
        self,
        *,
        pending: Sequence[ListedImage],
        collection: Collection,
        options: Collect,
        on_image: Callable[[], None],
        **arguments: Any,  # noqa: ANN401 - Scrapy's
    ) -> None:
        super().__init__(self.name, **arguments)
        self._pending, self._collection = pending, collection
        self._options, self._on_image = options, on_image
        self._decoding = asyncio.Semaphore(min(cores(), _MAX_DECODERS))
        self.error: BenchError | None = None

    async def start(self) -> AsyncIterator[Request]:
        """Yield one request per image."""
        for image in self._pending:
            reason = url_error(image.url)
            if reason is not None:
                self._reject(image, "address", reason)
                continue
            yield Request(
                image.url,
                callback=self.parse_image,
                errback=self.handle_error,
                dont_filter=True,  # the list has each URL once
                cb_kwargs={"image": image},
            )

    async def parse_image(self, response: Response, image: ListedImage) -> None:
        """Add a response to the collection if it is an image."""
        if response.status != 200:
            self._reject(image, *classify_response(response.status), final_url=response.url)
            return
        try:
            async with self._decoding:
                checked = await asyncio.to_thread(
                    check_image,
                    response.body,
                    min_side=self._options.min_side,
                    max_pixels=self._options.max_pixels,
                )
        except RejectedImageError as error:
            # Without Content-Length, an interrupted connection looks like the end of the file.
            is_partial = error.status == "damaged" and "partial" in response.flags
            status = "network" if is_partial else error.status
            self._reject(image, status, str(error), final_url=response.url)
            return
        with self._recording():
            self._collection.add(image, checked, response.body, final_url=response.url)

    def handle_error(self, failure: Failure) -> None:
        """Record a request without a response."""
        request: Request = failure.request  # type: ignore[attr-defined]
        status, reason = classify_error(failure.value, self._options)
        self._reject(request.cb_kwargs["image"], status, reason, final_url=request.url)

    def _reject(self, image: ListedImage, status: str, reason: str, *, final_url: str = "") -> None:
        with self._recording():
            self._collection.reject(image, status, reason, final_url=final_url)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """Count an image after the block has recorded it; end the crawl if that fails."""
        try:
            yield
        except BenchError as error:
            self.error = error
            raise CloseSpider("broken") from error
        self._on_image()


class PageSpider(Spider):
    """Download a page and its successors, and list the images on them.

    Parameters
    ----------
    options : Collect
        The user's options.
    images : list of ListedImage
        The images are appended to it.
    """

    name = "pages"

    def __init__(self, *, options: Collect, images: list[ListedImage], **arguments: Any) -> None:  # noqa: ANN401
        super().__init__(self.name, **arguments)
        self._options, self._images = options, images
        self._label = normalize_label(options.label)
        self._requested: set[str] = set()
        self.error: BenchError | None = None

    async def start(self) -> AsyncIterator[Request]:
        """Yield the request of the first page."""
        yield self._request(str(self._options.page))

    async def parse(self, response: Response) -> AsyncIterator[Request]:
        """List the images of a page, and yield the request of the next page."""
        if response.status != 200:
            self._fail(response.url, classify_response(response.status)[1])
        elif not isinstance(response, TextResponse):
            self._fail(response.url, "is not a web page; for a single image use urls=")
        else:
            try:
                page = read_page(response.text, response.url, next_selector=self._options.next)
            except ValueError as error:
                self.error = BenchError(f"next={self._options.next} is {error}")
                return
            license = page.license or self._options.license or ""
            self._images += [
                ListedImage(url, self._label, license, response.url) for url in page.images
            ]
            next_page = page.next_page
            is_new = next_page not in self._requested
            if next_page and is_new and len(self._requested) < self._options.pages:
                yield self._request(next_page)

    def handle_error(self, failure: Failure) -> None:
        """Report a page that could not be downloaded."""
        request: Request = failure.request  # type: ignore[attr-defined]
        self._fail(request.url, classify_error(failure.value, self._options)[1])

    def _request(self, url: str) -> Request:
        self._requested.add(url)
        return Request(url, callback=self.parse, errback=self.handle_error, dont_filter=True)

    def _fail(self, url: str, reason: str) -> None:
        self.error = BenchError(f"page {url}: {reason}")

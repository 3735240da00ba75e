"""Scrapy spider that downloads images, and finds them on web pages before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from scrapy import Spider
from scrapy.http import Request, Response, TextResponse
from twisted.python.failure import Failure

from outliers_bench.apps.collect.collection import Collection
from outliers_bench.apps.collect.failures import classify_error, classify_response
from outliers_bench.apps.collect.image_check import RejectedImageError, check_image
from outliers_bench.apps.collect.options import Collect
from outliers_bench.apps.collect.page_images import read_page
from outliers_bench.apps.collect.url_list import ListedImage, deduplicate
from outliers_bench.data.labels import normalize
from outliers_bench.errors import BenchError
from outliers_bench.runtime.http import url_error
from outliers_bench.runtime.machine import cores

_MAX_DECODERS = 4  # each may hold an image of 400 MB


class ImageSpider(Spider):
    """Download images, check them and add them to the collection.

    Its errors end the crawl: those of pages, which are `BenchError`, and those of the collection.

    Parameters
    ----------
    options : Collect
        The user's options. If they have a page, its images are requested as well.
    collection : Collection
        Destination.
    pending : iterable of ListedImage
        Images to request.
    on_image : callable
        Called after each image.
    """

    name = "images"

    def __init__(
        self,
        *,
        options: Collect,
        collection: Collection,
        pending: Iterable[ListedImage],
        on_image: Callable[[], None],
        **arguments: Any,  # noqa: ANN401 - Scrapy's
    ) -> None:
        super().__init__(self.name, **arguments)
        self._options, self._collection = options, collection
        self._pending, self._on_image = pending, on_image
        self._decoding = asyncio.Semaphore(min(cores(), _MAX_DECODERS))
        self._pages: set[str] = set()
        self._found: list[ListedImage] = []

    async def start(self) -> AsyncIterator[Request]:
        """Yield the request of the first page, if there is one, and those of the images."""
        if self._options.page is not None:
            yield self._page_request(self._options.page)
        for request in self._image_requests(self._pending):
            yield request

    async def parse_page(self, response: Response) -> AsyncIterator[Request]:
        """List the images of a page, and yield the requests of the next page or all images."""
        options, url = self._options, response.url
        if response.status != 200:
            raise BenchError(f"page {url}: {classify_response(response.status)[1]}")
        if not isinstance(response, TextResponse):
            raise BenchError(f"page {url}: is not a web page; for a single image use urls=")
        page = read_page(response.text, url, next_selector=options.next)
        label, license = normalize(options.label or ""), page.license or options.license or ""
        self._found += [ListedImage(image, label, license, url) for image in page.images]
        if (
            page.next_page
            and page.next_page not in self._pages
            and len(self._pages) < options.pages
        ):
            yield self._page_request(page.next_page)
            return
        if not self._found:
            raise BenchError(
                f"page={options.page}: no images found; images that are inserted by a script are "
                "not seen"
            )
        images = deduplicate(self._found, source=f"page={options.page}")
        pending = self._collection.select_pending(images, again=options.again)
        for request in self._image_requests(pending):
            yield request

    def handle_page_error(self, failure: Failure) -> None:
        """Report a page that could not be downloaded."""
        url = failure.request.url  # type: ignore[attr-defined]
        raise BenchError(f"page {url}: {classify_error(failure.value, self._options)[1]}")

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
        self._collection.add(image, checked, response.body, final_url=response.url)
        self._on_image()

    def handle_image_error(self, failure: Failure) -> None:
        """Record a request without a response."""
        request: Request = failure.request  # type: ignore[attr-defined]
        status, reason = classify_error(failure.value, self._options)
        self._reject(request.cb_kwargs["image"], status, reason, final_url=request.url)

    def _page_request(self, url: str) -> Request:
        self._pages.add(url)
        return Request(
            url, callback=self.parse_page, errback=self.handle_page_error, dont_filter=True
        )

    def _image_requests(self, images: Iterable[ListedImage]) -> Iterator[Request]:
        for image in images:
            reason = url_error(image.url)
            if reason is not None:
                self._reject(image, "address", reason)
                continue
            yield Request(
                image.url,
                callback=self.parse_image,
                errback=self.handle_image_error,
                dont_filter=True,  # the list has each URL once
                cb_kwargs={"image": image},
            )

    def _reject(self, image: ListedImage, status: str, reason: str, *, final_url: str = "") -> None:
        self._collection.reject(image, status, reason, final_url=final_url)
        self._on_image()

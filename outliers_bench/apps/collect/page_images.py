"""Images of a web page, each once and in the largest size that the page offers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from outliers_bench.data.listing import LISTED_ENDINGS
from outliers_bench.errors import BenchError

if TYPE_CHECKING:
    from parsel import Selector, SelectorList

# https://html.spec.whatwg.org/multipage/images.html#parsing-a-srcset-attribute: URLs may
# contain commas, but not begin or end with one. In linear time, whatever a page has.
_CANDIDATE = re.compile(r"([^\s,]\S*[^\s,]|[^\s,])(?:\s+(\d*+(?:\.\d++)?)[wx])?[^,]*(?:,|$)")
# Attributes of lazy-loading scripts come before src and srcset.
_SOURCES = ("data-src", "data-original", "data-lazy-src", "data-lazy", "src")
_SETS = ("data-srcset", "data-lazy-srcset", "srcset")
_UNREADABLE_TYPES = ("image/avif", "image/svg+xml", "image/jxl", "image/heic")
_LICENSE_NAMES = ("dc.rights", "dcterms.rights", "dcterms.license", "license", "rights")


class Page(NamedTuple):
    """Images, next page and license of a web page.

    Parameters
    ----------
    images : list of str
        Absolute URLs, each once, in the order of the page.
    next_page : str or None
        URL of the next page.
    license : str
        License according to a link with rel=license or a meta tag; empty if there is none.
    """

    images: list[str]
    next_page: str | None
    license: str


def read_page(html: str, url: str, *, next_selector: str | None = None) -> Page:
    """Find the images of a page.

    Images are those shown by `img` and `picture` (the largest of several sizes, lazily loaded ones
    included), and the targets of links that end like an image file. An image inside such a link is
    a thumbnail of the target and is omitted.

    Parameters
    ----------
    html : str
        The page.
    url : str
        Its URL, after redirects.
    next_selector : str or None
        CSS selector of the link to the next page; None means the link with rel=next.

    Raises
    ------
    BenchError
        If `next_selector` is not a CSS selector.
    """
    from cssselect import SelectorError
    from parsel import Selector

    page = Selector(text=html, type="html")
    base = urljoin(url, (page.xpath("//base/@href").get() or "").strip())
    images = (
        _absolute_url(base, _image_address(node)) for node in page.xpath("//img | //a[@href]")
    )
    try:
        links = page.css(next_selector) if next_selector else _related(page, "next")
    except SelectorError as error:
        raise BenchError(f"next={next_selector} is not a CSS selector: {error}") from None
    return Page(
        images=list(dict.fromkeys(filter(None, images))),
        next_page=_absolute_url(base, links.attrib.get("href", "")),
        license=_find_license(page, base),
    )


def _image_address(node: Selector) -> str:
    """Return the image of an element; empty for a thumbnail inside a link to an image."""
    if node.root.tag == "a":
        target = node.attrib["href"]
        return target if _is_image(target) else ""
    if any(_is_image(link) for link in node.xpath("ancestor::a/@href").getall()):
        return ""
    # libxml2 does not know that source is a void element, and nests them.
    sources = [
        source
        for source in node.xpath("ancestor::picture[1]//source")
        if source.attrib.get("type", "").strip().lower() not in _UNREADABLE_TYPES
    ]
    sets = [each.attrib.get(name, "") for each in (node, *sources) for name in _SETS]
    candidates: list[tuple[float, str]] = [
        (float(size or 1), address)
        for srcset in sets
        for address, size in _CANDIDATE.findall(srcset)
        if not address.startswith("data:")
    ]
    if candidates:
        return max(candidates, key=lambda each: each[0])[1]
    addresses = (node.attrib.get(name, "") for name in _SOURCES)
    return next((address for address in addresses if address.strip()), "")


def _absolute_url(base: str, address: str) -> str | None:
    """Return an http or https URL; None for others, such as inline images (`data:`)."""
    try:
        url = urldefrag(urljoin(base, address.strip())).url if address.strip() else ""
        return url if urlsplit(url).scheme in ("http", "https") else None
    except ValueError:
        return None


def _is_image(address: str) -> bool:
    try:
        name = unquote(urlsplit(address.strip()).path).rpartition("/")[2].lower()
    except ValueError:
        return False
    # File:Lion.jpg is a wiki page about a file
    return name.endswith(LISTED_ENDINGS) and ":" not in name


def _related(page: Selector, relation: str) -> SelectorList[Selector]:
    """Return the links of a relation, whose name has no case."""
    links = page.css("link[rel][href], a[rel][href]")
    return type(links)(link for link in links if relation in link.attrib["rel"].lower().split())


def _find_license(page: Selector, base: str) -> str:
    link = _related(page, "license").attrib.get("href")
    if link is not None:
        return urljoin(base, link.strip())
    for node in page.xpath("//meta[@content]"):
        name = node.attrib.get("name") or node.attrib.get("property") or ""
        if name.lower() in _LICENSE_NAMES:
            return " ".join(node.attrib["content"].split())
    return ""

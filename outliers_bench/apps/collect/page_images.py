"""Images of a web page, each once and in the largest size that the page offers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from outliers_bench.data.image_files import EXTENSIONS

if TYPE_CHECKING:
    from parsel import Selector

# https://html.spec.whatwg.org/multipage/images.html#parsing-a-srcset-attribute: URLs may
# contain commas, but not begin or end with one.
_CANDIDATE = re.compile(r"([^\s,]\S*[^\s,]|[^\s,])(?:\s+([^\s,(]+))?[^,]*(?:,|$)")
# Attributes of lazy-loading scripts in place of src and srcset.
_LAZY = ("data-src", "data-original", "data-lazy-src", "data-lazy")
_LAZY_SETS = ("data-srcset", "data-lazy-srcset")
_UNREADABLE_TYPES = ("image/avif", "image/svg+xml", "image/jxl", "image/heic")
_LICENSE_NAMES = ("dc.rights", "dcterms.rights", "dcterms.license", "license", "rights")


@dataclass(frozen=True)
class Page:
    """Images, next page and license of a web page.

    Parameters
    ----------
    images : tuple of str
        Absolute URLs, in the order of the page.
    next_page : str or None
        URL of the next page.
    license : str
        License according to a link with rel=license or a meta tag; empty if there is none.
    """

    images: tuple[str, ...]
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

    Returns
    -------
    Page

    Raises
    ------
    ValueError
        If `next_selector` is not a CSS selector.
    """
    from cssselect import SelectorError
    from parsel import Selector

    page = Selector(text=html, type="html")
    base = urljoin(url, (page.xpath("//base/@href").get() or "").strip())
    images: dict[str, None] = {}
    for node in page.xpath("//img | //a[@href]"):
        for address in _image_addresses(node):
            image = _absolute_url(base, address)
            if image is not None:
                images[image] = None
    try:
        links = page.css(next_selector) if next_selector else page.xpath("//link[@rel] | //a[@rel]")
    except SelectorError as error:
        raise ValueError(f"not a CSS selector: {error}") from None
    target = next(
        (link.attrib.get("href") for link in links if next_selector or _has_rel(link, "next")), None
    )
    return Page(
        images=tuple(images),
        next_page=None if target is None else _absolute_url(base, target),
        license=_find_license(page, base),
    )


def _image_addresses(node: Selector) -> list[str]:
    """Return the image of an element; an empty list for a thumbnail inside a link to an image."""
    if node.root.tag == "a":
        target = node.attrib.get("href", "")
        return [target] if _is_image(target) else []
    if any(_is_image(link) for link in node.xpath("ancestor::a/@href").getall()):
        return []
    sets = [node.attrib.get(name, "") for name in (*_LAZY_SETS, "srcset")]
    # libxml2 does not know that source is a void element, and nests them.
    for source in node.xpath("ancestor::picture[1]//source"):
        if source.attrib.get("type", "").strip().lower() not in _UNREADABLE_TYPES:
            sets += [source.attrib.get(name, "") for name in (*_LAZY_SETS, "srcset")]
    candidates = [each for text in sets for each in _parse_srcset(text)]
    if candidates:
        return [max(candidates, key=lambda each: each[0])[1]]
    sources = (node.attrib.get(name) for name in (*_LAZY, "src"))
    return [next((each for each in sources if each and each.strip()), "")]


def _parse_srcset(srcset: str) -> list[tuple[float, str]]:
    """Return widths or densities with URLs."""
    candidates = []
    for address, size in _CANDIDATE.findall(srcset):
        try:
            weight = float(size[:-1]) if size else 1.0
        except ValueError:
            weight = 1.0
        if not address.startswith("data:"):
            candidates.append((weight, address))
    return candidates


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
    return (
        name.endswith(EXTENSIONS) and ":" not in name
    )  # File:Lion.jpg is a wiki page about a file


def _has_rel(node: Selector, relation: str) -> bool:
    return relation in node.attrib.get("rel", "").lower().split()


def _find_license(page: Selector, base: str) -> str:
    for node in page.xpath("//link[@rel and @href] | //a[@rel and @href]"):
        if _has_rel(node, "license"):
            return urljoin(base, node.attrib["href"].strip())
    for node in page.xpath("//meta[@content]"):
        name = node.attrib.get("name") or node.attrib.get("property") or ""
        if name.lower() in _LICENSE_NAMES:
            return " ".join(node.attrib["content"].split())
    return ""

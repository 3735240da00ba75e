"""The images of a web page: each once, as large as the page has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from outliers_bench.data.image_files import EXTENSIONS

if TYPE_CHECKING:
    from parsel import Selector

# https://html.spec.whatwg.org/multipage/images.html#parsing-a-srcset-attribute: URLs may have
# commas inside, but neither at their beginning nor at their end.
_CANDIDATE = re.compile(r"([^\s,]\S*[^\s,]|[^\s,])(?:\s+([^\s,(]+))?[^,]*(?:,|$)")
# What scripts that load images late put in the place of src and srcset.
_LATE = ("data-src", "data-original", "data-lazy-src", "data-lazy")
_LATE_SETS = ("data-srcset", "data-lazy-srcset")
_UNREADABLE_TYPES = ("image/avif", "image/svg+xml", "image/jxl", "image/heic")
_LICENSE_NAMES = ("dc.rights", "dcterms.rights", "dcterms.license", "license", "rights")


@dataclass(frozen=True)
class Page:
    """What a page has for us.

    Parameters
    ----------
    images : tuple of str
        URLs, absolute, in the page's order.
    following : str or None
        URL of the page after it.
    license : str
        What the page says it may be used under: a link with rel=license, or a meta tag.
    """

    images: tuple[str, ...]
    following: str | None
    license: str


def read_page(html: str, url: str, *, following: str | None = None) -> Page:
    """Find the images of a page.

    An image is what `img` and `picture` show (of several sizes the largest; what a script would
    load late counts as shown), and what a link leads to whose name ends as an image's does. An
    image inside such a link is a small version of what the link leads to, and is not taken.

    Parameters
    ----------
    html : str
        The page.
    url : str
        Where it was found, after redirects.
    following : str or None
        CSS selector of the link to the following page; None for the link with rel=next.

    Raises
    ------
    ValueError
        If that is not a CSS selector.
    """
    from cssselect import SelectorError
    from parsel import Selector

    page = Selector(text=html, type="html")
    base = urljoin(url, (page.xpath("//base/@href").get() or "").strip())
    images: dict[str, None] = {}
    for node in page.xpath("//img | //a[@href]"):
        for found in _image(node):
            address = _absolute(base, found)
            if address is not None:
                images[address] = None
    try:
        links = page.css(following) if following else page.xpath("//link[@rel] | //a[@rel]")
    except SelectorError as error:
        raise ValueError(f"no CSS selector: {error}") from None
    target = next(
        (link.attrib.get("href") for link in links if following or _has(link, "next")), None
    )
    return Page(
        tuple(images), None if target is None else _absolute(base, target), _license(page, base)
    )


def _image(node: Selector) -> list[str]:
    """The image of one element; none if another element stands for it."""
    if node.root.tag == "a":
        target = node.attrib.get("href", "")
        return [target] if _is_image(target) else []
    if any(_is_image(link) for link in node.xpath("ancestor::a/@href").getall()):
        return []
    sets = [node.attrib.get(name, "") for name in (*_LATE_SETS, "srcset")]
    # libxml2 does not know that a source has no end, and nests them.
    for source in node.xpath("ancestor::picture[1]//source"):
        if source.attrib.get("type", "").strip().lower() not in _UNREADABLE_TYPES:
            sets += [source.attrib.get(name, "") for name in (*_LATE_SETS, "srcset")]
    candidates = [each for text in sets for each in _candidates(text)]
    if candidates:
        return [max(candidates, key=lambda each: each[0])[1]]
    late = (node.attrib.get(name) for name in (*_LATE, "src"))
    return [next((each for each in late if each and each.strip()), "")]


def _candidates(srcset: str) -> list[tuple[float, str]]:
    """The URLs of a srcset with their widths or densities."""
    found = []
    for address, size in _CANDIDATE.findall(srcset):
        try:
            weight = float(size[:-1]) if size else 1.0
        except ValueError:
            weight = 1.0
        if not address.startswith("data:"):
            found.append((weight, address))
    return found


def _absolute(base: str, address: str) -> str | None:
    """A URL that can be asked for; pictures inside the page (`data:`) are none."""
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
    return name.endswith(EXTENSIONS) and ":" not in name  # File:Lion.jpg is a wiki's page about it


def _has(node: Selector, relation: str) -> bool:
    return relation in node.attrib.get("rel", "").lower().split()


def _license(page: Selector, base: str) -> str:
    for node in page.xpath("//link[@rel and @href] | //a[@rel and @href]"):
        if _has(node, "license"):
            return urljoin(base, node.attrib["href"].strip())
    for node in page.xpath("//meta[@content]"):
        name = node.attrib.get("name") or node.attrib.get("property") or ""
        if name.lower() in _LICENSE_NAMES:
            return " ".join(node.attrib["content"].split())
    return ""

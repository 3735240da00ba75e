"""A drawing of matplotlib's as a part of an HTML page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET


def embedded(
    svg: str, *, name: str, colours: Mapping[str, str], titles: Mapping[str, str], alt: str
) -> str:
    """An `<svg>` element without what only a file of its own needs.

    Parameters
    ----------
    svg : str
        What matplotlib wrote.
    name : str
        What ids in the drawing begin with; they are unique on the page then.
    colours : mapping of str to str
        What takes the place of a colour. Only attributes are changed: text is the user's.
    titles : mapping of str to str
        By the id of a group, what is told where one points at it.
    alt : str
        What is read out in the drawing's place.
    """
    root = ET.fromstring(svg)  # noqa: S314 - written by matplotlib a moment ago
    stand_ins = re.compile("|".join(map(re.escape, colours)))
    for element in root.iter():
        element.tag = _local(element.tag)
        title = titles.get(element.get("id", ""))
        element.attrib = {
            _local(key): stand_ins.sub(lambda found: colours[found[0]], _renamed(key, value, name))
            for key, value in element.attrib.items()
        }
        if title is not None:
            told = ET.Element("title")
            told.text = title
            element.insert(0, told)
    for unwanted in root.findall("metadata"):
        root.remove(unwanted)
    for size in ("width", "height"):  # the style sheet's business
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": alt}
    return ET.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    """A name without its namespace: HTML knows what is SVG's."""
    return name.rpartition("}")[2]


def _renamed(key: str, value: str, name: str) -> str:
    """An attribute's value with the ids in it made the page's own."""
    if key == "id":
        return f"{name}-{value}"
    if _local(key) == "href":
        return value.replace("#", f"#{name}-", 1)
    return value.replace("url(#", f"url(#{name}-")

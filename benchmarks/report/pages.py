"""Pages with markers, between which the tables of results are written."""

from __future__ import annotations

import re
from typing import Any

from benchmarks.report.readme_rows import readme_rows
from benchmarks.report.tables import markdown

REQUIRED = ("embedding", "sweep", "search")
CONTENTS = {"speed": markdown, "speed-rows": readme_rows}


def find_problem(results: dict[str, Any]) -> str:
    """Return the reason not to publish the results; empty if there is none."""
    if results["options"]["quick"]:
        return "is of a quick run, whose figures are meaningless"
    sections = results["results"]
    missing = [n for n in REQUIRED if sections.get(n, {"failed": "missing"}).get("failed")]
    if missing:
        names = ",".join(missing)
        return f"lacks {', '.join(missing)}; python -m benchmarks --only {names} adds it"
    return ""


def fill_page(page: str, results: dict[str, Any]) -> str:
    """Write the tables of the results between the markers of a page.

    Raises
    ------
    ValueError
        If the page has no markers.
    """
    names = [name for name in CONTENTS if f"<!-- {name} -->" in page]
    if not names:
        raise ValueError(f"has neither {' nor '.join(f'<!-- {name} -->' for name in CONTENTS)}")
    for name in names:
        page = replace_between_markers(page, name, CONTENTS[name](results))
    return page


def replace_between_markers(text: str, name: str, content: str) -> str:
    """Replace the text between the markers `<!-- name -->` and `<!-- /name -->`.

    Raises
    ------
    ValueError
        If the text has no such markers.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no <!-- {name} --> ... <!-- /{name} --> in it")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)

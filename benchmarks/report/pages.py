"""Pages with markers, between which figures stand that were measured."""

from __future__ import annotations

import re
from typing import Any

from benchmarks.report.tables import markdown
from benchmarks.report.telling import telling

NEEDED = ("embedding", "economy", "search")
CONTENTS = {"speed": markdown, "speed-rows": telling}


def lacking(results: dict[str, Any]) -> str:
    """Why results are not for pages that others read; nothing if they are."""
    if results["options"]["quick"]:
        return "is of a quick run, whose figures mean nothing"
    found = results["results"]
    if missing := [name for name in NEEDED if found.get(name, {"failed": "yes"}).get("failed")]:
        return (
            f"lacks {', '.join(missing)}; python -m benchmarks --only {','.join(missing)} adds that"
        )
    return ""


def filled(page: str, results: dict[str, Any]) -> str:
    """A page with what was measured between whichever markers it has.

    Raises
    ------
    ValueError
        If it has none.
    """
    names = [name for name in CONTENTS if f"<!-- {name} -->" in page]
    if not names:
        raise ValueError(f"has neither {' nor '.join(f'<!-- {name} -->' for name in CONTENTS)}")
    for name in names:
        page = fill(page, name, CONTENTS[name](results))
    return page


def fill(text: str, name: str, content: str) -> str:
    """Put content between a text's markers `<!-- name -->` and `<!-- /name -->`.

    Raises
    ------
    ValueError
        If the text has no such markers.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no <!-- {name} --> ... <!-- /{name} --> in it")
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)

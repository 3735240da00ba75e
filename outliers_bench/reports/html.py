"""Pages of HTML: what stands in them is escaped, whoever named it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def template(folder: Path) -> Template:
    """The `page.html.j2` of a folder, compiled, which takes longer than to fill it in.

    Parameters
    ----------
    folder : Path
        Holds it. What is given to the template is escaped unless it is `Markup`, and a name that
        is not given raises `jinja2.UndefinedError`.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")

"""Templates of HTML pages, with autoescaping."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def load_template(folder: Path) -> Template:
    """Compile the `page.html.j2` of a folder; cached, as that takes longer than to render it.

    Values are escaped unless they are `Markup`; a missing variable raises
    `jinja2.UndefinedError`.

    Parameters
    ----------
    folder : Path
        Folder of the template.
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

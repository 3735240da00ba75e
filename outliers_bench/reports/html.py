"""Templates of HTML pages, with autoescaping."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.runtime.visible_text import visible

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def load_template(folder: Path) -> Template:
    """Compile the `page.html.j2` of a folder; cached, as that takes longer than to render it.

    Values are escaped unless they are `Markup`, and control characters and marks of direction in
    them are shown; a missing variable raises
    `jinja2.UndefinedError`.

    Parameters
    ----------
    folder : Path
        Folder of the template.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def show(value: object) -> object:
        is_text = isinstance(value, str) and not isinstance(value, Markup)
        return visible(str(value)) if is_text else value

    environment = Environment(
        finalize=show,
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")

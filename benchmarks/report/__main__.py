"""Print the tables, or put them into pages that have markers for them.

python -m benchmarks.report benchmarks/results/speed.json --into docs/speed.md README.md
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.command_line import Parser
from benchmarks.record import read
from benchmarks.report import lacking, markdown
from benchmarks.report.pages import filled


def main(words: list[str] | None = None) -> None:
    """Read, check, and only then write."""
    parser = Parser(
        prog="python -m benchmarks.report", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("results", type=Path, help="what python -m benchmarks has written")
    parser.add_argument(
        "--into", type=Path, nargs="+", default=[], metavar="PAGE", help="pages to fill"
    )
    given = parser.parse_args(words)
    try:
        results = read(given.results)
    except ValueError as error:
        parser.error(f"{given.results}: {error}")
    if not given.into:
        print(markdown(results))
        return
    if missing := lacking(results):
        parser.error(f"{given.results}: {missing}")
    texts = {}
    for page in given.into:
        try:
            texts[page] = filled(page.read_text(), results)
        except OSError as error:
            parser.error(f"--into {page}: {(error.strerror or str(error)).lower()}")
        except ValueError as error:
            parser.error(f"--into {page}: {error}")
    for page, text in texts.items():
        page.write_text(text)


if __name__ == "__main__":
    main()

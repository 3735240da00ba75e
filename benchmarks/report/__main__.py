"""Print the tables, or write them into pages between markers.

python -m benchmarks.report benchmarks/results/speed.json --into docs/speed.md README.md
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.command_line import Parser
from benchmarks.report import find_problem, markdown
from benchmarks.report.pages import fill_page
from benchmarks.results_file import read_results


def main(words: list[str] | None = None) -> None:
    """Read and check everything before writing the first page."""
    parser = Parser(
        prog="python -m benchmarks.report", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("results", type=Path, help="JSON file of python -m benchmarks")
    parser.add_argument(
        "--into", type=Path, nargs="+", default=[], metavar="PAGE", help="pages to fill"
    )
    options = parser.parse_args(words)
    try:
        results = read_results(options.results)
    except ValueError as error:
        parser.error(f"{options.results}: {error}")
    if not options.into:
        print(markdown(results))
        return
    if problem := find_problem(results):
        parser.error(f"{options.results}: {problem}")
    texts = {}
    for page in options.into:
        try:
            texts[page] = fill_page(page.read_text(), results)
        except OSError as error:
            parser.error(f"--into {page}: {(error.strerror or str(error)).lower()}")
        except ValueError as error:
            parser.error(f"--into {page}: {error}")
    for page, text in texts.items():
        page.write_text(text)


if __name__ == "__main__":
    main()

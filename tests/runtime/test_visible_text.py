"""Foreign text in tables and on pages."""

import csv
import io
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import outliers_bench
from outliers_bench.data.tables.text import parse_text
from outliers_bench.reports.html import load_template
from outliers_bench.runtime.visible_text import read_csv, visible, write_csv


def written(*rows):
    file = io.StringIO(newline="")
    write_csv(file, rows)
    return file.getvalue()


TEXT = st.text(st.sampled_from("=+-@'\uff1d\t\r\n\x1b\u202e a1.,\"")) | st.text()


@given(st.lists(st.lists(TEXT, min_size=2, max_size=2), min_size=1))
def test_cells_are_read_as_they_were_and_run_no_formula(rows) -> None:
    text = written(*rows)
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            assert is_number(cell) or not cell.startswith(tuple("=+-@\t\r\uff1d"))
            assert not set(cell) & set("\x1b\r\u202e")
    assert list(read_csv(io.StringIO(text, newline=""))) == [[*map(visible, row)] for row in rows]


def is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_numbers_stay_numbers() -> None:
    assert written(["-0.5", -0.5, "+1e-3", "-inf", None, 3]) == "-0.5,-0.5,+1e-3,-inf,,3\r\n"


def test_paths_of_own_tables_can_be_read_as_data() -> None:
    table = parse_text(written(["path", "label"], ["-a/=1.jpg", "@home"]), "x.csv", len)
    assert [*table.rows] == [["-a/=1.jpg", "@home"]]


def test_every_table_is_written_by_the_one_writer() -> None:
    package = Path(outliers_bench.__file__).parent
    writers = [
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if re.search(r"csv\.(writer|DictWriter)\(|\.to_csv\(", file.read_text())
    ]
    assert writers == ["runtime/visible_text.py"]


def test_marks_are_shown_on_pages(tmp_path) -> None:
    (tmp_path / "page.html.j2").write_text("{{ name }} {{ number + 1 }}")
    page = load_template(tmp_path).render(name="<a>\u202egpj\x1b[2K", number=1)
    assert page == "&lt;a&gt;\\u202egpj\\u001b[2K 2"

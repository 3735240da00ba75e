"""A table as a spreadsheet saves it, on the command line."""

import csv

import pytest

from tests.command_line import bench, in_process


@pytest.fixture
def arguments(table, photos, tmp_path):
    """Write a table in UTF-16 with semicolons and backslashes; arguments of a run on it."""
    cells = [["Dateiname", "Individual", "Camera"]]
    cells += [[path.replace("/", "\\"), label, "N; 1,5"] for path, label in table.to_numpy()]
    file = tmp_path / "animals 2024.csv"
    with file.open("w", newline="", encoding="utf-16") as opened:
        csv.writer(opened, delimiter=";").writerows(cells)
    return [
        *("data=manifest", "model=pixels", "k=[1]", f"cache.dir={tmp_path / 'cache'}"),
        *(f"data.path={file}", f"data.root={photos}"),
    ]


def test_a_run_on_a_table_of_a_spreadsheet(arguments, tmp_path):
    given = ("data.columns.path=dateiname", "contact_sheets.captions=[Camera]")
    done = bench(*arguments, *given, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "animals 2024.csv: label is the column Individual" in done.out + done.err
    (table,) = tmp_path.rglob("per_query.csv")
    with table.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert {row["Camera"] for row in rows} == {"N; 1,5"}
    assert all("/" in row["query"] for row in rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "has no column path; it has Dateiname, Individual, Camera. Needed: path, label"),
        (("data.columns.path=file",), "data.columns.path=file: "),
        (
            ("data.columns.path=Dateiname", "contact_sheets.captions=[sex]"),
            "have no column sex; they have path, Camera",
        ),
    ],
)
def test_mistakes_end_a_run_before_the_work(arguments, options, message, monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, *arguments, *options)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") <= 2

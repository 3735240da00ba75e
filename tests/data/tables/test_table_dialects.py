"""Text tables as spreadsheets and people write them, each equal to the plain table."""

import csv
import gzip
import io
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.data.manifest import Manifest
from outliers_bench.data.tables.columns import Columns, count_known
from outliers_bench.data.tables.text import SEPARATORS, decode_text, parse_text
from outliers_bench.errors import BenchError
from tests.data.sources import fails, load, manifest


def score(names):
    return count_known(names, Columns())


def parse(text):
    return parse_text(text, "t.csv", score)


def write(photos, content, name="other.csv"):
    (photos / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return Manifest(path=str(photos / name))


def lines_of(table, separator=","):
    return [separator.join(row) for row in [list(table), *table.to_numpy().tolist()]]


DIALECTS = {
    "semicolon": lambda t: "\n".join(lines_of(t, ";")),
    "semicolon, BOM, CRLF": lambda t: ("\ufeff" + "\r\n".join(lines_of(t, ";"))).encode(),
    "tab in a .csv": lambda t: "\n".join(lines_of(t, "\t")),
    "pipe": lambda t: "\n".join(lines_of(t, "|")),
    "sep= of Excel, tab": lambda t: "sep=\t\r\n" + "\r\n".join(lines_of(t, "\t")),
    "sep= of Excel": lambda t: "sep=;\r\n" + "\r\n".join(lines_of(t, ";")),
    "UTF-16 with a mark": lambda t: "\n".join(lines_of(t, "\t")).encode("utf-16"),
    "UTF-16 BE with a mark": lambda t: ("\ufeff" + "\n".join(lines_of(t))).encode("utf-16-be"),
    "UTF-16 without a mark": lambda t: "\n".join(lines_of(t)).encode("utf-16-le"),
    "UTF-32": lambda t: "\n".join(lines_of(t)).encode("utf-32"),
    "trailing comma in rows": lambda t: "path,label\n" + ",\n".join(lines_of(t)[1:]) + ",\n",
    "trailing comma everywhere": lambda t: "\n".join(line + "," for line in lines_of(t)),
    "blank after the comma": lambda t: "\n".join(lines_of(t, ", ")),
    "blank and quotes": lambda t: "\n".join(
        ", ".join(f'"{cell}"' for cell in line.split(",")) for line in lines_of(t)
    ),
    "blanks around": lambda t: "\n".join(
        " , ".join(cells) for cells in [list(t), *t.to_numpy().tolist()]
    ),
    "single quotes": lambda t: "\n".join(
        ",".join(f"'{cell}'" for cell in line.split(",")) for line in lines_of(t)
    ),
    "capitals": lambda t: "\n".join(["Path,LABEL", *lines_of(t)[1:]]),
    "empty rows": lambda t: "\n\n".join(lines_of(t)) + "\n,\n , \n;\n"[:7] + "\n\n",
    "comments": lambda t: "# from the field book, 2024\n#\n" + "\n".join(lines_of(t)) + "\n# end",
    "commented header": lambda t: "# " + "\n".join(lines_of(t)),
    "two tables in one file": lambda t: t[:9].to_csv(index=False) + t[9:].to_csv(index=False),
    "old Mac line ends": lambda t: "\r".join(lines_of(t)),
    "backslashes": lambda t: "\n".join(lines_of(t)).replace("/", "\\"),
    "backslashes, dot": lambda t: (
        "\n".join(lines_of(t)).replace("/", "\\").replace("\nc", "\n.\\c")
    ),
    "gzip": lambda t: gzip.compress("\n".join(lines_of(t)).encode()),
    "JSON lines": lambda t: t.to_json(orient="records", lines=True),
    "pandas' index": lambda t: t.to_csv(),
    "Windows-1252": lambda t: (
        t.assign(note="größer").to_csv(index=False, encoding=None).encode("cp1252")
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialect_is_the_plain_table(dialect, table, photos, tmp_path):
    expected = load(manifest(table, photos), tmp_path)
    content = DIALECTS[dialect](table[["path", "label"]])
    split = load(write(photos, content), tmp_path)
    assert split.fingerprint == expected.fingerprint
    assert not split.left_out


def test_feather_and_parquet_by_content(table, photos, tmp_path):
    expected = load(manifest(table, photos), tmp_path)
    table.to_feather(photos / "table.csv")  # the name decides nothing
    assert load(Manifest(path=str(photos / "table.csv")), tmp_path).fingerprint == (
        expected.fingerprint
    )
    table.set_index("path").to_parquet(photos / "indexed.parquet")
    source = Manifest(path=str(photos / "indexed.parquet"))
    assert load(source, tmp_path).fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"path,label\n", "has no rows"),
        (b"PK\x03\x04xl/workbook.xml", "an Excel or OpenDocument workbook.*save it as CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"an old Excel workbook \(\.xls\); save it as CSV"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\x80\x04\x95", "a pickle or another binary file"),
        (b"\x28\xb5\x2f\xfd\x04", "compressed with zstd; unpack it"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"\xff\xd8\xff\xe0", "an image"),
        (b"ORC\x03\0\xff", "not a text table"),
        (b"\x1f\x8b\x08broken", "cannot be unpacked"),
        (b"PAR1broken", "cannot be read as a table"),
        (b"\xff\xfe\x00broken", "it begins as utf-16 text and is not"),
        (b"path,label\na\0b,c", "contains null characters"),
        (b"path,label\n\x81,c", "neither UTF-8 nor Windows-1252"),
        (
            b"path,label\na.png,c\nb.png\n",
            r"row 3 has 1 cells, and the header has 2 \(separator: c",
        ),
        (b"path;label\n\na.png;c\nb;c;x\n", r"row 4 has 3 cells.*separator: semicolon"),
        (b'path,label\na.png,"c\nb.png,c\n', "row 2 cannot be read .unexpected end of data"),
        (b'path,label\na.png,c\n"b"x.png,c\n', "row 3 cannot be read"),
        (b"a.png,c\nb.png,c\n", "has no column path and no column label; it has a.png, c"),
        (b"path,label,label\na,b,c\n", "has two columns label"),
        ('path,label\na.png,"c\nb.png,d\ne.png,f"\n', "mark in row 2 is not closed there"),
        ('path,note,label\na.png,"c\nb.png,n,d\ne.png,n",d\n', "mark in row 2 is not closed"),
        ("path,label\na,ö\n".encode() + b"b,\xf6\n", "line 2 is UTF-8, and line 3 .'b,ö'. is not"),
        (b'{"path": "a"}\n{"path"\n', "JSON lines, one object per line: line 2"),
        (b'{"path": "a"}\n3\n', "line 2 is not a JSON object"),
    ],
)
def test_unreadable_table_is_one_line(content, message, tmp_path):
    fails(write(tmp_path, content), tmp_path, message)


def test_windows_text_is_reported(caplog):
    assert decode_text("path,label\nLöwe.png,ß\n".encode("cp1252"), "t.csv").endswith("ß\n")
    assert (
        "t.csv is not UTF-8; it is read as Windows-1252, so line 2 is 'Löwe.png,ß'" in caplog.text
    )


def test_rows_have_the_numbers_of_a_spreadsheet():
    text = '# a note\npath,label,note\n\na,1,"two\nlines"\n,,\nb,2,x\n# later\n'
    table = parse(text)
    assert table.rows == [["a", "1", "two\nlines"], ["b", "2", "x"]]
    assert table.numbers == [4, 6]
    assert parse("sep=;\npath;label\na;1\n").numbers == [2]


def test_cells_of_several_lines_are_no_rows():
    text = 'path,label,note\na.png,1,"seen twice:\nb, c, and d\n2.png, 3"\n'
    assert parse(text).rows == [["a.png", "1", "seen twice:\nb, c, and d\n2.png, 3"]]


def test_columns_without_a_name_at_the_end():
    table = parse("path,label,,\na,1,x\nb,2\nc,3,,y\n")
    assert table.header == ["path", "label", "Unnamed: 2", "Unnamed: 3"]
    assert table.rows == [["a", "1", "x", ""], ["b", "2", "", ""], ["c", "3", "", "y"]]
    assert parse("path,label,,\na,1,,\n").header == ["path", "label"]


def test_header_decides_the_separator():
    table = parse("path;label;weight\na;b;1,5\n")
    assert table.header == ["path", "label", "weight"]
    assert table.rows == [["a", "b", "1,5"]]
    assert parse('path,label,"a; b; c; d"\na,b,c\n').header == ["path", "label", "a; b; c; d"]
    assert parse("Pfad\tTier, Alter\na\tb, c, d\n").header == ["Pfad", "Tier, Alter"]


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=8
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(CELL.filter(lambda c: c.strip() and c[0] != "#"), CELL, CELL), min_size=1),
    st.sampled_from(SEPARATORS),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_written_cells_are_read(rows, separator, encoding, end, quoting):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerows([("path", "label", "note"), *rows])
    table = parse(decode_text(file.getvalue().encode(encoding), "t"))
    assert [tuple(row) for row in table.rows] == rows


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 4), st.sampled_from(SEPARATORS))
def test_a_row_never_shifts(cells, separator):
    text = f"path{separator}label\n" + separator.join(["x"] * cells) + "\n"
    if cells == 2:
        assert parse(text).rows == [["x", "x"]]
    elif cells == 0:
        assert parse(text).rows == []
    else:
        with pytest.raises(BenchError, match=f"row 2 has {cells} cells"):
            parse(text)


def test_the_index_that_pandas_or_r_writes_is_no_column(table, photos, tmp_path):
    table["site"] = "north"
    for index in (table.index, table.index + 1):
        source = write(photos, table.set_index(index).to_csv())
        assert list(load(source, tmp_path).gallery.columns) == ["site"]
    source = write(photos, table.set_index(table.index * 2).to_csv())
    assert list(load(source, tmp_path).gallery.columns) == ["Unnamed: 0", "site"]


def test_json_lines_keep_types(tmp_path, table, photos):
    records = [
        {"path": path, "label": 7 if row % 2 else 12, "age": None if row else 3, "marks": [1, 2]}
        for row, path in enumerate(table["path"])
    ]
    source = write(photos, "\n".join(map(json.dumps, records)), "t.jsonl")
    split = load(source, tmp_path)
    assert split.gallery.classes == ("12", "7")
    assert split.gallery.columns["marks"].tolist() == [(1, 2)] * len(split.gallery)
    assert pd.isna(split.gallery.columns["age"]).sum() >= len(split.gallery) - 1

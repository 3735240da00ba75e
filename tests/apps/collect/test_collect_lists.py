"""Lists of images; mistakes in a list or an option are one-line errors before any work."""

import pytest

from outliers_bench.apps.collect.collection import folder_name
from outliers_bench.apps.collect.command import PROGRAM, Collect, collect, main
from outliers_bench.apps.collect.url_list import ListedImage, read_url_list


def read_text(tmp_path, text, name="list.csv", label=None, license=None):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_url_list(str(tmp_path / name), label=label, license=license)


def test_a_table(tmp_path) -> None:
    text = (
        "\ufefflicense, URL ,name,Label\r\n"
        "CC0,http://a/1.jpg#top,x, sea  lion\r\n"
        ',"http://a/2,3.jpg",y,\r\n'
        ",http://a/1.jpg,z,sea lion\r\n"
    )
    assert read_text(tmp_path, text, label="fox", license="CC BY") == [
        ListedImage("http://a/1.jpg", "sea lion", "CC0"),
        ListedImage("http://a/2,3.jpg", "fox", "CC BY"),
    ]
    assert read_text(tmp_path, "url\tlabel\nhttp://a\tb\n", "l.tsv") == [
        ListedImage("http://a", "b")
    ]


@pytest.mark.parametrize(
    "content",
    [
        "url;label\r\nhttp://a/1,2.jpg;Löwe\r\n".encode(),
        "url\tlabel\nhttp://a/1,2.jpg\tLöwe\n".encode("utf-16"),
        "Image URL;Label\nhttp://a/1,2.jpg;Löwe\n".encode("cp1252"),
    ],
)
def test_tables_of_spreadsheets(tmp_path, content) -> None:
    (tmp_path / "l.csv").write_bytes(content)
    images = read_url_list(str(tmp_path / "l.csv"), label=None, license=None)
    assert images == [ListedImage("http://a/1,2.jpg", "Löwe")]


def test_a_text_file(tmp_path) -> None:
    text = "# lions\n\nhttp://a/1.jpg\n  http://a/2.jpg  \n"
    urls = [each.url for each in read_text(tmp_path, text, "l.txt", label="lion")]
    assert urls == ["http://a/1.jpg", "http://a/2.jpg"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", "", "is empty"),
        ("l.csv", "url,label\n", "is empty: it contains no URL"),
        ("l.csv", "\n\nurl,label\n,lion\n", "row 4 has no url"),
        ("l.csv", "site,label\nhttp://a,b\n", "has no column url; it has site, label"),
        ("l.csv", "url,label\nhttp://a,b\n,c\n", "row 3 has no url"),
        ("l.csv", "url,label\nhttp://a,\n", "row 2 (http://a) has no label"),
        ("l.csv", "url\nhttp://a\n", "give label= for all rows without one"),
        ("l.csv", "url,label\nhttp://a,b\nhttp://a,c\n", "http://a has two labels, 'b' and 'c'"),
        ("l.csv", "url,label\nhttp://a,Lion\nhttp://b,lion\n", "differ only in letter case"),
        ("l.csv", b"url,label\nhttp://a,\x81\n", "neither UTF-8 nor Windows-1252"),
        ("l.csv", "url,label\nhttp://a\n", "row 2 has 1 cells, and the header has 2"),
        ("l.txt", "# nothing\n", "is empty"),
        ("l.txt", "http://a\n", "has no label"),
        ("l.json", "[]", "give a .csv, .tsv or .txt file"),
    ],
)
def test_mistakes_in_a_list(tmp_path, capsys, monkeypatch, name, text, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(Collect, collect, program=PROGRAM, arguments=[f"urls={name}", "into=zoo"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "zoo").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give the images to collect"),
        (["urls=l.csv", "page=http://a/"], "give the images to collect"),
        (["page=http://a/"], "as label="),
        (["page=file:///etc", "label=lion"], "is not an http or https URL"),
        (["urls=missing.csv"], "no such file or directory"),
        (["urls=l.csv", "pages=3"], "apply to page="),
        (["urls=l.csv", "per_host=0"], "must be at least 1"),
        (["urls=l.csv", "delay=-1"], "delay=-1"),
        (["urls=l.csv", "delay=nan"], "delay=nan"),
        (["urls=l.csv", "timeout=0"], "timeout=0"),
        (["urls=l.csv", "max_pixels=999999999"], "max_pixels=999999999"),
        (["urls=l.csv", "contact=löwe"], "plain ASCII"),
        (["urls=l.csv", "allow_privat=true"], "did you mean allow_private?"),
    ],
)
def test_mistakes_in_options(tmp_path, capsys, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.csv").write_text("url,label\nhttp://a,b\n")
    assert main(Collect, collect, program=PROGRAM, arguments=["into=zoo", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "zoo").exists()


def test_accents_of_labels_are_normalized(tmp_path) -> None:
    text = "url,label\nhttp://a/1.jpg,L\u00f6we\nhttp://a/2.jpg,Lo\u0308we\n"
    assert {each.label for each in read_text(tmp_path, text)} == {"L\u00f6we"}


@pytest.mark.parametrize("label", ["lion", "sea lion", "Löwe", "虎", "a.b", "n02129165", "con man"])
def test_a_safe_label_is_its_folder_name(label: str) -> None:
    assert folder_name(label) == label


def test_unsafe_labels_have_safe_and_distinct_folder_names() -> None:
    unsafe = [
        "..", ".", "../x", "a/b", "a\\b", "/etc", "C:", "con", "NUL.txt", "com1", "a.", " a", "a ",
        ".hidden", "__MACOSX", "a\x00b", "a\x1fb", "a\u202eb", "x" * 300, "虎" * 200, "a?b", "a*b",
    ]  # fmt: skip
    folders = [folder_name(label) for label in unsafe]
    assert len(set(folders)) == len(unsafe)
    for folder in folders:
        assert not set(folder) & set('<>:"/\\|?*\x00\x1f\u202e')
        assert folder == folder.strip(". ")
        assert folder.isprintable()
        assert 0 < len(folder.encode()) <= 120
        assert folder.casefold().partition(".")[0] not in ("con", "nul", "com1", "__macosx")

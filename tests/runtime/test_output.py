"""Standard output that is full, closed, or cannot take a character."""

import subprocess
import sys

import pytest

GUARD = "import sys; from outliers_bench.runtime.output import guarded_output\n"


def python(code, *, environment=(), redirect="", **options):
    variables = " ".join(environment)
    command = f'{variables} "$0" -c "$1" {redirect}'
    return subprocess.run(
        ["bash", "-c", command, sys.executable, GUARD + code],
        capture_output=True,
        check=False,
        **options,
    )


PRINTING = "with guarded_output():\n    print('\\u0141o\\u015b \\xb7 \\xe9')"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (["PYTHONIOENCODING=utf-8"], "Łoś · é\n".encode()),
        (["PYTHONIOENCODING=cp1252"], "?o? · é\n".encode("cp1252")),
        (["PYTHONIOENCODING=ascii"], b"?o? ? ?\n"),
        (["LC_ALL=POSIX", "PYTHONUTF8=0", "PYTHONCOERCECLOCALE=0"], b"?o? ? ?\n"),
        (["PYTHONIOENCODING=ascii", "PYTHONUNBUFFERED=1"], b"?o? ? ?\n"),
    ],
)
def test_characters_that_the_output_cannot_take_are_replaced(environment, expected):
    done = python(PRINTING, environment=environment)
    assert (done.returncode, done.stdout) == (0, expected), done.stderr


def test_what_acts_on_a_terminal_is_shown():
    name = r"lion\u202egpj\u200b\x1b]0;title\x07\x9b2K \u200d\tend"
    shown = rb"lion\u202egpj\u200b\u001b]0;title\u0007\u009b2K " + "\u200d\tend\n".encode()
    done = python(f"with guarded_output():\n    print('{name}')", environment=["LC_ALL=C.UTF-8"])
    assert done.stdout == shown
    bar = r"\x1b[2K\x1b[1A\r"
    done = python(f"with guarded_output():\n    print('{bar}')", environment=["LC_ALL=C.UTF-8"])
    assert done.stdout == b"\x1b[2K\x1b[1A\r\n"


@pytest.mark.parametrize("unbuffered", ["0", ""])
def test_a_full_disk_ends_no_work_and_is_one_line(unbuffered):
    work = "with guarded_output():\n    print('x' * 99_999)\n    print('worked', file=sys.stderr)"
    done = python(work, environment=[f"PYTHONUNBUFFERED={unbuffered}"], redirect="> /dev/full")
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 2
    assert lines[0] == "worked"
    assert lines[1].startswith("error: standard output: no space left on device")
    assert len(lines) == 2


def test_a_closed_pipe_ends_no_work_and_says_nothing():
    work = (
        "with guarded_output():\n    for _ in range(99_999): print('x' * 99)\n"
        "    print('worked', file=sys.stderr)"
    )
    done = python(work, redirect="| head -1; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (141, b"worked\n")


def test_the_code_of_a_failed_command_stays():
    done = python("with guarded_output():\n    print('x'); sys.exit(1)", redirect="> /dev/full")
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_file_never_gets_the_place_of_a_closed_stream(tmp_path):
    code = (
        "import os\nwith guarded_output():\n"
        f"    file = open({str(tmp_path / 'data')!r}, 'w')\n"
        "    print('text'); print('text', file=sys.stderr); os.write(1, b'from C')\n"
        "    assert file.fileno() > 2, file.fileno()"
    )
    done = python(code, redirect="<&- >&- 2>&-")
    assert done.returncode == 0
    assert (tmp_path / "data").read_text() == ""


def test_a_full_disk_ends_no_worker():
    work = (
        "from outliers_bench.runtime.output import guard_worker\n"
        "guard_worker(); guard_worker()\n"
        "print('\\u0141' * 99_999, flush=True); print('worked', file=sys.stderr)"
    )
    done = python(work, environment=["PYTHONIOENCODING=ascii"], redirect="> /dev/full")
    assert (done.returncode, done.stderr) == (0, b"worked\n")


def test_streams_that_are_no_files_stay(capsys):
    from outliers_bench.runtime.output import guarded_output

    with guarded_output():
        print("é")
    assert capsys.readouterr().out == "é\n"

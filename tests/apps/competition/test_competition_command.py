"""The command without its server: options, errors, help."""

import socket
import subprocess
import sys

import pytest

from outliers_bench.apps.competition.command import serve
from outliers_bench.apps.competition.options import PROGRAM, Competition
from outliers_bench.runtime.command_line import main
from tests.competition_server import write_photos


def error_message(capsys, *options):
    assert main(Competition, serve, program=PROGRAM, arguments=["cache=cache", *options]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give the photos: root="),
        (("root=nowhere",), "error: root=nowhere: there is no such folder"),
        (("root=.",), "root=. has no subfolder query; a competition needs query/<class>/"),
        (("root=labeled", "deadline=tomorrow"), "deadline=tomorrow: give a date"),
        (("root=labeled", "metric=hit_at_2"), "2 is not among k="),
        (("root=labeled", "metric=mrr"), "metric=mrr: give"),
        (("root=labeled", "max_rank=0"), "max_rank=0: give 1 or more"),
        (("root=labeled", "token=s3cret"), "write the token to a file and give token_file=<file>"),
        (("root=labeled", "token_file=s3cret"), "token_file=: the file cannot be read (No such"),
        (("root=labeled", "results=f.json", "store=typo.db"), "there is no store=typo.db"),
        (("root=labeled", "deadlin=1"), "did you mean deadline?"),
    ],
)
def test_an_invalid_option_is_a_one_line_error(options, message, capsys) -> None:
    error = error_message(capsys, *options)
    assert message in error
    assert "s3cret" not in error


@pytest.mark.slow  # imports the web server
def test_an_address_or_store_that_is_not_available_is_a_one_line_error(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda *_, **__: pytest.fail("the server runs"))
    monkeypatch.chdir(tmp_path)
    write_photos(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = f"port={other.getsockname()[1]}"
        assert "cannot listen" in error_message(capsys, "root=labeled", port)
    for options, message in (
        (("root=handout",), "needs the labels"),
        (("root=labeled", "store=nowhere/c.db"), "store=nowhere/c.db: submissions cannot"),
        (("root=labeled", "host=nowhere.invalid"), "host=nowhere.invalid port=8000: cannot"),
        (("root=labeled", "host="), "host= port=8000: cannot"),
    ):
        assert message in error_message(capsys, *options)


def test_help_does_not_import_the_web_server() -> None:
    code = (
        "import sys\n"
        "from outliers_bench.runtime.command_line import main\n"
        "from outliers_bench.apps.competition.command import PROGRAM, Competition, serve\n"
        "assert main(Competition, serve, program=PROGRAM, arguments=['--help']) == 0\n"
        "heavy = {'fastapi', 'uvicorn', 'mlflow', 'pandas', 'tensorflow', 'requests', 'cv2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Lay out labeled photos" in result.stdout

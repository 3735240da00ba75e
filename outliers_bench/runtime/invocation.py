"""Commands in what is printed: as they can be typed in the shell this program was started from."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import NoReturn

_CHECKOUT = Path(__file__).parents[2]
_VENV = _CHECKOUT / ".venv"  # as `make install` makes it


def as_called(text: str) -> str:
    """Put the Python that the user called in place of `python -m`.

    Without an activated environment there is no `python`, or another one.

    Parameters
    ----------
    text : str
        Messages with commands in them, each beginning with `python -m`.

    Returns
    -------
    str
        With `.venv/bin/python -m` in them, for example.
    """
    python = shlex.quote((sys.orig_argv or [sys.executable])[0])
    return re.sub(r"\bpython -m (?=\w)", lambda _: f"{python} -m ", text)


def install(extra: str) -> str:
    r"""The command that installs what an extra adds, whatever folder it is typed in.

    Parameters
    ----------
    extra : str
        Its name in pyproject.toml.

    Returns
    -------
    str
        Names the packages, such as `python -m pip install 'annoy>=1.17'`: this project is on no
        index, and its checkout may be elsewhere.
    """
    wanted = requirements(extra) or ["-e", f"{_CHECKOUT}[{extra}]"]
    return f"python -m pip install {shlex.join(wanted)}"


def requirements(extra: str) -> list[str]:
    """List the packages of an extra, such as `annoy>=1.17`; none in a tree never installed."""
    try:
        lines = requires("outliers-bench") or []
    except PackageNotFoundError:
        return []
    of_extra = re.compile(rf"(.+?)\s*;\s*extra == ['\"]{extra}['\"]")
    return [found[1] for line in lines if (found := of_extra.fullmatch(line))]


def open_store(uri: str) -> str:
    """The command or address that shows a tracking store in MLflow's pages.

    Parameters
    ----------
    uri : str
        Tracking URI, absolute.
    """
    if uri.startswith(("http://", "https://")):
        return uri
    # Of another environment, make would begin by installing.
    if uri == f"sqlite:///{_CHECKOUT / 'mlflow.db'}" and (
        Path.cwd() == _CHECKOUT and Path(sys.prefix) == _VENV
    ):
        return "make ui"
    return f"python -m mlflow ui --backend-store-uri {shlex.quote(uri)} --host 127.0.0.1"


def exit_outside_environment(missing: list[str]) -> NoReturn:
    """Say that this Python is not the environment that was installed into.

    Parameters
    ----------
    missing : list of str
        Modules that it lacks.

    Raises
    ------
    SystemExit
        With code 2 and one line on standard error, where a module is started by `python -m`.
    ImportError
        With that line, anywhere else.
    """
    inside = Path.cwd() == _CHECKOUT
    activate = shlex.quote(str(_VENV / "bin" / "activate"))
    steps = ". .venv/bin/activate" if inside else f". {activate}"
    if not (_VENV / ".ready").exists():  # the last that `make install` writes
        make = "make" if inside else f"make -C {shlex.quote(str(_CHECKOUT))}"
        steps = f"{make} install, then {steps}"
    line = (
        f"this Python ({sys.executable}) lacks {', '.join(missing)}; "
        f"take the environment that has them: {steps}"
    )
    if sys.argv[:1] != ["-m"]:
        raise ImportError(line)
    print(f"error: {line}", file=sys.stderr)
    sys.exit(2)

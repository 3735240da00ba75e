"""Commands in printed messages, as they can be typed in the shell of the user."""

from __future__ import annotations

import re
import shlex
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import NoReturn

_CHECKOUT = Path(__file__).parents[2]
_VENV = _CHECKOUT / ".venv"  # made by `make install`


def with_current_python(text: str) -> str:
    """Replace the Python in each `python -m` by the one that runs this process.

    Without an activated environment, `python` is missing or a different one.
    """
    python = shlex.quote((sys.orig_argv or [sys.executable])[0])
    return re.sub(r"\bpython -m (?=\w)", lambda _: f"{python} -m ", text)


def install_command(extra: str) -> str:
    """Return the command that installs the packages of an extra, from any working directory.

    It lists the packages, as in `python -m pip install 'annoy>=1.17'`, because this project is not
    on a package index, and its checkout may be in another folder.
    """
    packages = requirements(extra) or ["-e", f"{_CHECKOUT}[{extra}]"]
    return f"python -m pip install {shlex.join(packages)}"


def requirements(extra: str) -> list[str]:
    """List the packages of an extra, such as `annoy>=1.17`; none if this one is not installed."""
    try:
        lines = requires("outliers-bench") or []
    except PackageNotFoundError:
        return []
    of_extra = re.compile(rf"(.+?)\s*;\s*extra == ['\"]{extra}['\"]")
    return [match[1] for line in lines if (match := of_extra.fullmatch(line))]


def ui_command(uri: str) -> str:
    """Return the command that opens a tracking store in the MLflow UI, or the URL of a server."""
    if uri.startswith(("http://", "https://")):
        return uri
    # In any other environment, make would first install this one.
    if uri == f"sqlite:///{_CHECKOUT / 'mlflow.db'}" and (
        Path.cwd() == _CHECKOUT and Path(sys.prefix) == _VENV
    ):
        return "make ui"
    return f"python -m mlflow ui --backend-store-uri {shlex.quote(uri)} --host 127.0.0.1"


def exit_outside_environment(missing: list[str]) -> NoReturn:
    """Report that this Python lacks required packages, and how to activate one that has them.

    Exits with code 2 and one line on standard error under `python -m`; elsewhere, raises an
    `ImportError` with the same line.
    """
    install, activate = (
        shlex.join(["make", "-C", str(_CHECKOUT), "install"]),
        _VENV / "bin/activate",
    )
    line = (
        f"this Python ({sys.executable}) lacks {', '.join(missing)}; take the environment that has "
        f"them: {install}, then . {shlex.quote(str(activate))}"
    )
    if sys.argv[:1] != ["-m"]:
        raise ImportError(line)
    print(f"error: {line}", file=sys.stderr)
    sys.exit(2)

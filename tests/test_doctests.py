"""Examples in docstrings, run as they are written."""

import doctest
import importlib

import pytest

from tests.architecture import PACKAGE, modules

WITH_EXAMPLES = [name for name, path in modules().items() if ">>> " in path.read_text()]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(f"{PACKAGE.name}.{name}")
    failed, attempted = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert attempted
    assert not failed
    assert not list(tmp_path.iterdir()), "an example writes nothing"

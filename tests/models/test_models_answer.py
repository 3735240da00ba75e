"""Models answer for themselves: elsewhere, no code asks of which class a model is."""

import ast

from outliers_bench.config.choices import SCHEMAS
from tests.architecture import modules, room_of

ROOMS = {"models", "training", "keypoints", "ensemble"}
BASES = {base for model in SCHEMAS["model"].values() for base in model.__mro__}
NAMES = {base.__name__ for base in BASES if base.__module__.startswith("outliers_bench.")}


def compared_classes(tree):
    """Yield line and name of each class in an `isinstance`, `issubclass` or `case`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "isinstance",
            "issubclass",
        ):
            classes = node.args[1:]
        elif isinstance(node, ast.MatchClass):
            classes = [node.cls]
        else:
            continue
        for part in (inner for each in classes for inner in ast.walk(each)):
            yield node.lineno, getattr(part, "id", getattr(part, "attr", ""))


def test_only_the_rooms_of_models_ask_for_their_class():
    assert {"Backbone", "Transfer", "Ensemble", "TrainedModel", "Vlad", "Extractor"} <= NAMES
    found = [
        f"{module}:{line} asks for {name}"
        for module, path in modules().items()
        if room_of(module) not in ROOMS
        for line, name in compared_classes(ast.parse(path.read_text()))
        if name in NAMES - {"Model"}  # whether it is a model at all may be checked
    ]
    assert not found, "; add a property to `Model` instead\n".join(found)

"""What is public is listed, sorted, and there."""

import ast
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "pyapi" / "firekeep"
PUBLIC = [
    "firekeep",
    "firekeep.auth",
    "firekeep.emulator",
    "firekeep.exceptions",
    "firekeep.testing",
]


def exported(source: str) -> list[str]:
    """Give the literal `__all__` of a module."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    raise AssertionError("no __all__")


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_sorted_and_exist(name: str) -> None:
    module = importlib.import_module(name)

    names = list(module.__all__)

    # Constants, then classes, then the rest, as ruff sorts them.
    assert names == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert [each for each in names if not hasattr(module, each)] == []


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_documented(name: str) -> None:
    module = importlib.import_module(name)

    silent = [
        each
        for each in module.__all__
        if callable(getattr(module, each)) and not getattr(module, each).__doc__
    ]

    assert silent == []


def test_a_missing_list_is_seen() -> None:
    with pytest.raises(AssertionError):
        exported("x = 1")

"""Every module says what is public, and what is public says what it is."""

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import dpc_lightning

MODULES = sorted(module.name for module in pkgutil.walk_packages(dpc_lightning.__path__, "dpc_lightning."))


def rank(name: str) -> tuple[int, str]:
    """Constants, then classes and types, then functions, each in alphabetical order."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def own(module: ModuleType) -> dict[str, object]:
    """The classes and functions that a module defines itself and does not hide."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_and_names_what_the_module_defines(name: str) -> None:
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", None)
    assert listed is not None, f"{name} has no __all__"
    assert list(listed) == sorted(listed, key=rank)
    assert len(set(listed)) == len(listed)
    for public in listed:
        assert hasattr(module, public), f"{name}.__all__ names {public}, which is not there"
    undeclared = sorted(set(own(module)) - set(listed))
    assert not undeclared, f"{name} defines {undeclared} and does not list them: list them or begin them with _"


@pytest.mark.parametrize("name", MODULES)
def test_what_is_public_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert (module.__doc__ or "").strip()
    for public in module.__all__:
        value = getattr(module, public)
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        assert (inspect.getdoc(value) or "").strip(), f"{name}.{public} has no docstring"
        if inspect.isclass(value):
            for member, function in vars(value).items():
                if not member.startswith("_") and inspect.isfunction(function):
                    assert inspect.getdoc(getattr(value, member)), f"{name}.{public}.{member} has no docstring"


@pytest.mark.parametrize("name", ["acquisition", "models", "purchase", "loops", "callbacks", "report"])
def test_a_room_exports_what_it_offers(name: str) -> None:
    room = importlib.import_module(f"dpc_lightning.{name}")
    assert len(room.__all__) >= 2

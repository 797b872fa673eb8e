"""Which arguments a phase of an entry takes."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["call"]

TAKES_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def call(function: Callable[..., Any], offered: Mapping[str, Any]) -> Any:  # noqa: ANN401  what an entry returns
    """Call a phase with what it asks for, in the way in which it asks.

    A parameter of a known name gets its value, by keyword or by position. A required one of another name gets the first
    value, in the order offered, that no parameter has asked for by name; an optional one keeps its default.

    Args:
        function: a bound method.
        offered: what there is to give, by name, in the order of the competition's signature.

    Returns:
        What it returns.

    Raises:
        TypeError: if it requires more arguments than there are.

    Example:
        >>> def purchase(pool, training, purchase_budget, *, register_progress=None): return pool, purchase_budget
        >>> call(purchase, {"unlabelled_dataset": "U", "training_dataset": "T", "purchase_budget": 3})
        ('U', 3)
    """
    known = inspect.signature(function).parameters.values()
    parameters = [each for each in known if each.kind not in TAKES_ANY]
    catch_all = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known)
    named = {each.name for each in parameters}
    spare = iter([name for name in offered if name not in named])
    by_place: list[Any] = []
    by_name: dict[str, Any] = {}
    used: set[str] = set()
    for each in parameters:
        source = each.name if each.name in offered else None
        if source is None:
            if each.default is not inspect.Parameter.empty:
                if each.kind is inspect.Parameter.POSITIONAL_ONLY:
                    by_place.append(each.default)
                continue
            source = next(spare, None)
            if source is None:
                msg = f"`{function.__name__}` requires `{each.name}`; there is only {', '.join(offered)} to give."
                raise TypeError(msg)
        used.add(source)
        if each.kind is inspect.Parameter.POSITIONAL_ONLY:
            by_place.append(offered[source])
        else:
            by_name[each.name] = offered[source]
    if catch_all:
        by_name |= {name: value for name, value in offered.items() if name not in used | by_name.keys()}
    return function(*by_place, **by_name)

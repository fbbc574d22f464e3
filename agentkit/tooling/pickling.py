"""Pickling of objects that hold functions: by reference where that is possible, else an error that names the part."""

import inspect
import sys
import threading
from collections.abc import Iterable
from typing import Any

from agentkit._lazy.records import dataclass, replace
from agentkit._text import without_credentials
from agentkit.net.kept_keys import keyless_address
from agentkit.tooling.annotations import signature_of

_CHECK = threading.local()


@dataclass(frozen=True)
class Part:
    """A part of what is pickled. what: its name in an error message. advice: what to do where it can't be pickled."""

    what: str
    value: Any
    advice: str


def check(parts: Iterable[Part], protocol: int) -> None:
    """Raise PicklingError for the first part that can't be pickled; pickle itself would name only the innermost object.

    Each is pickled on trial, without a check of its own parts: an object may hold what holds it.
    """
    if getattr(_CHECK, "is_running", False) or pickles_by_value():
        return
    import pickle  # not loaded by each program that has tools

    _CHECK.is_running = True
    try:
        for part in parts:
            try:
                pickle.dumps(part.value, protocol)
            except Exception as error:
                raise pickle.PicklingError(f"{part.what} can't be pickled ({error}): {part.advice}") from error
    finally:
        _CHECK.is_running = False


def without_passwords(model: Any) -> Any:
    """The names of models without passwords in their addresses (see `agentkit.net.kept_keys`); what else it is as it
    is. Raises PicklingError."""
    if isinstance(model, list):
        return [without_passwords(each) for each in model]
    if not isinstance(model, str):
        return model
    import pickle

    try:
        return keyless_address(model)
    except pickle.PicklingError as error:
        raise pickle.PicklingError(f"the model {without_credentials(model)} can't be pickled ({error})") from None


def pickles_by_value() -> bool:
    """Whether a pickler is at work that pickles functions by value and needs no module for them: cloudpickle (which
    joblib, Ray and Spark use) or dill."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__") or ""
        if "cloudpickle" in name or name.partition(".")[0] == "dill":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def pickled_tool(tool: Any, protocol: int) -> Any:
    """What `Tool.__reduce_ex__` returns."""
    reference = _reference_to(tool)
    if reference is not None:
        return reference
    check(parts_of_tool(tool), protocol)
    owner = _owner_of(tool)
    if owner is not None:
        return getattr, (owner, tool.function.__name__)
    parameters, options = None if tool._is_described else tool.parameters, dict(vars(tool.options))
    function = _picklable_function(tool)
    return tool._made_again, (tool.name, tool.description, parameters, function, tool._context, options)


def parts_of_tool(tool: Any) -> list[Part]:
    """The parts of a tool that perhaps can't be pickled."""
    if _reference_to(tool) is not None:
        return []
    owner = _owner_of(tool)
    if owner is not None:
        what = f"tool {tool.name}: its object, a {type(owner).__name__},"
        return [Part(what, owner, "give the class __getstate__ and __setstate__, or __reduce__")]
    advice = "define it at the top level of a module"
    function, approve = tool.function, tool.options.approve
    if hasattr(function, "pickled_parts"):
        return [replace(part, what=f"tool {tool.name}: {part.what}") for part in function.pickled_parts()]
    return [
        Part(f"tool {tool.name}: its function {_name_of(function)}", _picklable_function(tool), advice),
        Part(f"tool {tool.name}: its approve function {_name_of(approve)}", approve, advice),
    ]


def _reference_to(tool: Any) -> str | None:
    """The qualified name by which a tool is found in its module, as pickle looks for it: that of its function, or its
    own name. None when it is not found, or the other process has another module (`__main__`)."""
    if tool.__module__ == "__main__" and pickles_by_value():
        return None
    names = (getattr(tool, "__qualname__", None), tool.name)
    return next((name for name in names if name and found_at(tool.__module__, name) is tool), None)


def _owner_of(tool: Any) -> Any:
    """The object to whose method a tool was bound; None when it wasn't."""
    owner = getattr(tool.function, "__self__", None)
    found = inspect.getattr_static(type(owner), getattr(tool.function, "__name__", ""), None)
    is_it = isinstance(found, type(tool)) and found._read is tool._read  # one made by `replace` has another reader
    return owner if is_it else None


def _picklable_function(tool: Any) -> Any:
    """The function of a tool; or the tool that stands in the module under the function's name."""
    function = tool.function
    place = found_at(getattr(function, "__module__", None), getattr(function, "__qualname__", ""))
    stands_for_it = isinstance(place, type(tool)) and place.function is function and not pickles_by_value()
    return place if stands_for_it else function


def found_at(module: str | None, qualified_name: str) -> Any:
    """The object at a qualified name of a module that is loaded; None when there is none."""
    found: Any = sys.modules.get(module or "")
    for name in qualified_name.split("."):
        found = getattr(found, name, None)
    return found


def _name_of(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))


def check_arguments(kind: type, *given: Any, **named: Any) -> None:
    """Raises PicklingError when objects of a class are not made with these arguments, as those of a subclass with an
    `__init__` of its own, so that none can be made again."""
    import pickle

    try:
        signature_of(kind).bind(*given, **named)
    except TypeError:
        raise pickle.PicklingError(
            f"a {kind.__name__} can't be copied or pickled: its __init__ takes other arguments than that of the class "
            "it is derived from: define __reduce__, __copy__ and __deepcopy__, or make it with a function"
        ) from None

"""TypedDicts that pydantic takes, in a program that has it: as fields of a model, in the handlers of FastAPI.

Before Python 3.12 pydantic takes only those of typing_extensions, whose import would cost each program more than
agentkit itself; so these are made of the others when pydantic asks.
"""

import typing
from typing import Any


def for_pydantic(*kinds: Any) -> None:
    """Have pydantic take TypedDicts; keys that they don't name are kept."""
    for kind in kinds:
        setattr(kind, "__get_pydantic_core_schema__", classmethod(_schema))  # noqa: B010 - mypy knows no such attribute


def _schema(kind: Any, source: Any, handler: Any) -> Any:
    import typing_extensions

    make: Any = typing_extensions.TypedDict
    made = make(kind.__name__, typing.get_type_hints(kind, include_extras=True), total=kind.__total__)
    made.__module__, made.__doc__ = kind.__module__, kind.__doc__
    made.__pydantic_config__ = {"extra": "allow"}
    return handler.generate_schema(made)

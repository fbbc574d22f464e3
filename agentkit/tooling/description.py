"""Describes a Python function for a model: its docstring, and its signature as the JSON schema of its arguments."""

import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from agentkit._lazy.modules import loaded
from agentkit._lazy.records import dataclass, field
from agentkit.errors import ToolDefinitionError
from agentkit.tooling.docstrings import docstring_of
from agentkit.tooling.hidden import refuse_hidden
from agentkit.tooling.hints import Hints
from agentkit.tooling.plain_arguments import PlainArguments
from agentkit.tooling.signature import Calling, parameters_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True)
class Description:
    """The description of a function for a model, and the adapter that converts its arguments to Python values.

    parameters: the JSON schema of an object. adapter: validates the arguments. names: under which it takes them.
    context: the name of the parameter that takes the run's context, if there is one. calling: how it is called with
    them.
    """

    text: str
    parameters: dict[str, Any]
    adapter: "TypeAdapter[Any] | PlainArguments"
    names: Collection[str]
    context: str | None = None
    calling: Calling = field(default_factory=Calling)


def describe(
    function: Callable[..., Any],
    name: str,
    context_type: type,
    namespace: Mapping[str, Any],
    bound: bool = True,
) -> Description:
    """Describe `function` as a tool called `name`.

    A pydantic class is described by its fields, and a call of it makes an instance; so is a TypedDict. context_type:
    the annotation of the parameter that is left out of the schema. namespace: names that annotations may use in
    addition to the function's globals. bound: False for an unbound method, whose first parameter is not an argument.
    Raises ToolDefinitionError with the function, the parameter and the reason.
    """
    if _is_model(function) or typing.is_typeddict(function):
        from agentkit.tooling.schema import of_model, of_typed_dict

        kind: Any = function
        return Description(*(of_model if _is_model(function) else of_typed_dict)(kind, name))
    parameters = parameters_of(function, name, bound)
    docs = docstring_of(function, [parameter.name for parameter in parameters])
    hints = Hints(function, namespace, context_type)
    arguments: list[tuple[inspect.Parameter, Any, str | None]] = []
    context: str | None = None
    for parameter in parameters:
        hint = hints.of(parameter, name)
        if _is_context(hint, context_type):
            if context is not None:
                raise ToolDefinitionError(
                    f"tool {name}: the parameters {context!r} and {parameter.name!r} both take the run's "
                    f"{context_type.__name__}: leave one of them out"
                )
            context = parameter.name
            continue
        refuse_hidden(parameter, hint, name)
        hints.check(parameter, hint, name)
        arguments.append((parameter, hint, docs.parameters.get(parameter.name)))
    return Description(docs.text, *_described(arguments, name), context, Calling.of(function, parameters))


def _described(
    arguments: list[tuple[inspect.Parameter, Any, str | None]], name: str
) -> "tuple[dict[str, Any], TypeAdapter[Any] | PlainArguments, Collection[str]]":
    """The JSON schema of the arguments, what validates them, and the names under which they are taken."""

    def described() -> "tuple[dict[str, Any], TypeAdapter[Any], Collection[str]]":
        from agentkit.tooling.schema import of_parameters

        return of_parameters(arguments, name)

    plain = PlainArguments(lambda: described()[1])
    if all(plain.add(*each) for each in arguments):
        return plain.schema(), plain, plain.names
    return described()


def _is_model(function: Any) -> bool:
    model = loaded("pydantic", "BaseModel")  # with which it was made
    return model is not None and inspect.isclass(function) and issubclass(function, model)


def _is_context(hint: Any, context_type: type) -> bool:
    """Whether a type hint is the context's type: plain, with the type of its deps, or one of several types."""
    each = (hint, *typing.get_args(hint))
    return any(one is context_type or typing.get_origin(one) is context_type for one in each)

"""Pickles of agents and of output types for other processes: what is defined in the program itself is found there by
the path of its file, as it is no program of theirs."""

import base64
import io
import pickle
import zlib
from types import FunctionType
from typing import Any

from agentkit.batch.program_files import found_in_program, is_of_program, place_in_program
from agentkit.errors import ConfigurationError
from agentkit.net.kept_keys import key_in
from agentkit.tooling.pickling import found_at
from agentkit.tools import Tool

MAX_PICKLE = 64_000_000
"""Bytes of a pickle that is loaded."""


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        """See `pickle.Pickler`; called for each object."""
        if not isinstance(value, type | FunctionType | Tool) or not is_of_program(getattr(value, "__module__", "")):
            return NotImplemented
        names = (getattr(value, "__qualname__", None), getattr(value, "name", None))
        found = next((each for each in names if each and found_at("__main__", each) is value), None)
        if found is None:
            return NotImplemented
        try:
            return found_in_program, place_in_program("__main__", found)
        except LookupError as error:
            raise pickle.PicklingError(str(error)) from None


def packed(value: Any, what: str, cure: str) -> str:
    """The pickle of a value, as ASCII. what: the value's name in an error. cure: what to do. Raises ConfigurationError
    that names the part that can't be sent."""
    file = io.BytesIO()
    try:
        _Pickler(file, protocol=5).dump(value)
    except RecursionError:
        raise ConfigurationError(f"{what} is nested too deeply to be sent to other processes: {cure}") from None
    except Exception as error:
        raise ConfigurationError(f"{what} can't be sent to other processes: {error}. {cure}") from error
    data = file.getvalue()
    if variable := key_in(data):
        raise ConfigurationError(
            f"{what} can't be sent to other processes: the key of the environment variable {variable} is in it. {cure}"
        )
    return base64.b85encode(zlib.compress(data, 9)).decode("ascii")


def unpacked(text: str) -> Any:
    """What was packed. It runs what the pickle names, so it is only for what this program's own driver has sent. Raises
    ConfigurationError, where the pickle is none, or needs what this process can't import."""
    try:
        inflating = zlib.decompressobj()
        data = inflating.decompress(base64.b85decode(text), MAX_PICKLE)
        if not inflating.eof:
            raise ValueError("it is cut off, or too large")
        return pickle.loads(data)
    except ConfigurationError:
        raise
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"this process can't import what the agent is made of: {error}: install or copy the module where the "
            "workers run, and start them in a folder from which it can be imported"
        ) from error
    except Exception as error:
        raise ConfigurationError(f"the agent can't be made in this process: {type(error).__name__}: {error}") from error

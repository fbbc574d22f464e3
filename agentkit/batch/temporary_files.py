"""What is said where the folder for temporary files is full."""

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from agentkit.errors import ConfigurationError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def temporary_files() -> Iterator[None]:
    """Raises ConfigurationError where there is no room for the temporary file that the block writes."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ConfigurationError(
            f"the folder for temporary files, {tempfile.gettempdir()}, is full: make room in it, or name another one "
            "by the environment variable TMPDIR"
        ) from error

"""The entry point of `agentkit` and `python -m agentkit`."""

import errno
import gc
import os
import sys
from contextlib import suppress


def main() -> None:
    """Run the command line. Exits with status 1 and one sentence when the extra it needs is not installed."""
    if sys.argv[1:] == ["--version"]:  # answered without loading the command line
        from agentkit import __version__

        try:
            print(f"agentkit {__version__}", flush=True)  # noqa: T201
        except OSError as error:
            with suppress(OSError, ValueError):  # what is buffered would be written again at the end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if error.errno == errno.EPIPE:  # its reader has left, which is no failure
                return
            sys.exit(f"agentkit: standard output can't be written: {error.strerror}")
        return
    gc.disable()  # what is loaded is no garbage: to look for some took a tenth of the time of --help
    from agentkit.errors import MissingExtraError

    try:
        from agentkit.cli import app
    except MissingExtraError as error:
        sys.exit(f"agentkit: {error}")
    except KeyboardInterrupt:  # pressed before there was anything to stop
        sys.exit(130)
    finally:
        gc.freeze()  # nor will it be
        gc.enable()
    app(prog_name="agentkit")


if __name__ == "__main__":
    main()

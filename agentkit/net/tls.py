"""TLS contexts for connections to model servers: the CA certificates of the environment, else those of the system."""

import functools
import os
import ssl
import sys

from agentkit.errors import ConfigurationError
from agentkit.net.outgoing import URLLIB3, authorities, authorities_named, check_tls, key_log


def tls_context() -> ssl.SSLContext:
    """Return the context for connections that are made now, shared as long as the environment and its files are the
    same. Raises ConfigurationError for files that can't be used."""
    check_tls(URLLIB3)
    found = authorities(URLLIB3)
    path = found[1] if found else None
    changed = os.stat(path).st_mtime_ns if path is not None else 0
    try:
        return _context(path, changed, key_log())
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(
            f"the CA certificates that {authorities_named(URLLIB3)} names can't be used ({error}): correct it, or "
            "unset it"
        ) from None


@functools.lru_cache(4)
def _context(path: str | None, changed: int, logged: str | None) -> ssl.SSLContext:
    """The context for the certificates in a file or a folder; None: those of the system. Reading them takes 20 ms of
    CPU. changed: when the path was changed. logged: the key log."""
    if path is not None:
        is_folder = os.path.isdir(path)
        return _made(None if is_folder else path, path if is_folder else None)
    if sys.platform in ("darwin", "win32"):  # where they are in no file
        import truststore  # of the openai package's HTTP library

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    paths = ssl.get_default_verify_paths()
    file = paths.openssl_cafile if os.path.isfile(paths.openssl_cafile) else None
    folder = paths.openssl_capath if os.path.isdir(paths.openssl_capath) and os.listdir(paths.openssl_capath) else None
    if file is None and folder is None:
        import certifi

        file = certifi.where()
    return _made(file, folder)


def _made(file: str | None, folder: str | None) -> ssl.SSLContext:
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()  # with SSLKEYLOGFILE
    context.load_verify_locations(file, folder)
    return context

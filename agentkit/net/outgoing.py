"""The proxy and the TLS files that the environment names, read for the one address that is contacted.

The HTTP libraries read all proxy variables when a client is made, and fail on one that is not needed for the address
(`ALL_PROXY=socks://...` of a desktop, `SSL_CERT_FILE` of an environment that is gone). Here only what the address needs
is read, by one set of rules for all clients, and what can't work is a ConfigurationError that names the variable.
"""

import fnmatch
import functools
import ipaddress
import os
import re
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agentkit._forking import renewed_by_forks
from agentkit._lazy.logs import logger_of
from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass
from agentkit._text import without_credentials
from agentkit.errors import ConfigurationError
from agentkit.net.abort import track_connections
from agentkit.net.exchanges import Stored, exchanged

if TYPE_CHECKING:
    import ssl

    import httpx2

logger = logger_of("agentkit.run")

HTTPX, REQUESTS, URLLIB3 = "httpx", "requests", "urllib3"
"""The HTTP libraries: of the openai package, of the web, and of the model servers."""

_SOCKS_MODULES = {HTTPX: "socksio", REQUESTS: "socks", URLLIB3: "socks"}
_INSTALLED_AS = {"socksio": "socksio", "socks": "PySocks"}
_SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
_KINDS = {HTTPX: ("socks5", "socks5h"), REQUESTS: _SOCKS, URLLIB3: _SOCKS}
_AUTHORITIES: dict[str, tuple[str, ...]] = {
    HTTPX: ("SSL_CERT_FILE", "SSL_CERT_DIR"),
    REQUESTS: ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    URLLIB3: ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
}
_PORTS = {"http": 80, "https": 443}
_BARE = pattern(r"(?:[^/@\s]*@)?(?:\[[0-9A-Fa-f:.%]+\]|[^:/@\[\]\s]+)(?::[0-9]+)?/?")
_ENTRY = pattern(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]+))?")
_BRACKETS = pattern(r"\[([^\]]*)\](/[0-9]+)?\Z")


@dataclass(frozen=True)
class Proxy:
    """A proxy. url: with its scheme, and its credentials. variable: where it is set, for messages."""

    url: str
    variable: str


def check_environment(url: str, library: str) -> None:
    """Raise ConfigurationError when the environment names a proxy or TLS files that requests to `url` can't use.

    library: HTTPX, REQUESTS or URLLIB3.
    """
    proxy = proxy_for(url, library)
    if is_tls(url, proxy):
        check_tls(library)


def proxy_for(url: str, library: str) -> Proxy | None:
    """Return the proxy of the environment for a URL; None when there is none, or NO_PROXY exempts the URL's host.

    Raises ConfigurationError when that proxy can't be used, and for what is not a URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"{without_credentials(url)!r} is not a valid URL") from None
    host = (parts.hostname or "").rstrip(".")
    found = next((each for each in _settings(parts.scheme) if each[1]), None)
    if found is None or not host or is_exempt(host, port or _PORTS.get(parts.scheme, 0), parts.scheme):
        return None
    variable, value = found
    return Proxy(_checked(variable, value, host, library), variable)


def httpx_client(url: str, **options: Any) -> "httpx2.Client":
    """Return an HTTP client with the openai package's defaults for one base URL. Its requests can be aborted; it closes
    its connections when it is collected, as the package's own do, and begins without any in a forked child. Raises
    ConfigurationError."""
    client: httpx2.Client = _client_class()(**options, **_httpx_options(url))
    return client


def async_httpx_client(url: str, **options: Any) -> "httpx2.AsyncClient":
    """Return the same for asyncio. Raises ConfigurationError."""
    client: httpx2.AsyncClient = _async_client_class()(**options, **_httpx_options(url))
    return client


@functools.cache
def _client_class() -> Any:
    from openai import DefaultHttpxClient

    class Client(DefaultHttpxClient):
        def __init__(self, **options: Any) -> None:
            self.made_with = options
            self.begin()
            renewed_by_forks(self)

        def begin(self) -> None:
            super().__init__(**self.made_with)
            track_connections(self)

        def send(self, request: Any, **options: Any) -> Any:
            retry = request.headers.get("x-stainless-retry-count", "0")  # the openai package counts them
            if retry != "0":
                logger.info("the request is sent again (retry %s)", retry)
            send = functools.partial(super().send, request, **options)
            response = exchanged(request.method, request.url, request.read, send, functools.partial(_replay, request))
            if response.status_code >= 400:
                logger.info("the model server answered with status %d", response.status_code)
            return response

        def renew_in_child(self) -> None:
            if not self.is_closed:
                self.begin()

        def __del__(self) -> None:
            try:  # noqa: SIM105 - at the end of the program there is no contextlib any more
                self.close()
            except Exception:  # noqa: BLE001
                pass

    return Client


def _replay(request: Any, stored: Stored) -> Any:
    import httpx2

    headers = {"content-type": stored.content_type}
    return httpx2.Response(stored.status, headers=headers, content=stored.body, request=request)


@functools.cache
def _async_client_class() -> Any:
    from openai import DefaultAsyncHttpxClient

    class AsyncClient(DefaultAsyncHttpxClient):
        def __init__(self, **options: Any) -> None:
            self.made_with = options
            super().__init__(**options)
            renewed_by_forks(self)

        def renew_in_child(self) -> None:
            if not self.is_closed:
                super().__init__(**self.made_with)

        def __del__(self) -> None:
            try:  # as above, and nothing can be imported
                import asyncio  # loaded by whoever uses this client

                asyncio.get_running_loop().create_task(self.aclose())
            except Exception:  # noqa: BLE001
                pass

    return AsyncClient


def requests_options(url: str) -> dict[str, Any]:
    """Return `proxies` and `verify` for a request of a `requests` session that does not trust the environment.

    Raises ConfigurationError.
    """
    proxy = proxy_for(url, REQUESTS)
    if is_tls(url, proxy):
        check_tls(REQUESTS)
    found = authorities(REQUESTS)
    return {"proxies": {"all": proxy.url} if proxy else {}, "verify": found[1] if found else True}


def check_key_log() -> None:
    """Raise ConfigurationError when the file that SSLKEYLOGFILE names can't be written, which no TLS client ignores."""
    path = key_log()
    if not path:
        return
    try:
        with open(path, "ab"):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"SSLKEYLOGFILE names {path!r}, which can't be written ({error.strerror}): correct it, or unset it"
        ) from None


def check_authorities(variable: str) -> None:
    """Raise ConfigurationError when an environment variable names CA certificates that can't be read."""
    path = os.environ.get(variable)
    if not path:
        return
    what = "folder" if variable == "SSL_CERT_DIR" else "file"
    if not os.path.exists(path):
        problem = "does not exist"
    elif variable == "SSL_CERT_DIR" and not os.path.isdir(path):
        problem = "is not a folder"
    elif variable == "SSL_CERT_FILE" and not os.path.isfile(path):
        problem = "is not a file"
    elif not os.access(path, os.R_OK):
        problem = "can't be read"
    else:
        return
    raise ConfigurationError(
        f"{variable} names {path!r}, which {problem}: set it to a {what} of CA certificates, or unset it"
    )


def is_exempt(host: str, port: int, scheme: str) -> bool:
    """Whether NO_PROXY exempts a host: by its name, a domain (".corp", "*.corp"), an address, a network ("10.0.0.0/8"),
    each with a port or without, or by "*"; an entry for this machine exempts all its names (localhost, 127.0.0.1)."""
    entries = re.split(r"[,;\s]+", (_variable("no") or ("", ""))[1].lower())
    return any(_covers(entry, host.lower(), port, scheme) for entry in entries if entry) or _is_exempt_by_system(host)


def _httpx_options(url: str) -> dict[str, Any]:
    proxy = proxy_for(url, HTTPX)
    return {
        "proxy": proxy.url if proxy else None,
        "verify": _httpx_context(is_tls(url, proxy)),
        "trust_env": False,
    }


def _httpx_context(is_needed: bool) -> "ssl.SSLContext":
    """Return the context of httpx for the CA certificates of the environment. If TLS is not needed, files that are
    missing don't matter; what a server redirects to is then not trusted."""
    import ssl

    try:
        check_tls(HTTPX)
        return _shared_context(tuple(map(_state_of, ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"))))
    except ConfigurationError:
        if is_needed:
            raise
    except OSError as error:  # ssl.SSLError is one
        if is_needed:
            raise ConfigurationError(
                f"the CA certificates that {authorities_named(HTTPX)} names can't be used ({error}): correct it, or "
                "unset it"
            ) from None
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@functools.lru_cache(4)
def _shared_context(environment: tuple[tuple[str, int] | None, ...]) -> "ssl.SSLContext":
    """The context of all clients as long as the environment is the same: reading the certificates takes 20 ms of
    CPU."""
    import httpx2

    return httpx2.create_ssl_context()


def _state_of(variable: str) -> tuple[str, int] | None:
    """A variable's file, and when it was changed (nanoseconds)."""
    path = os.environ.get(variable)
    if not path:
        return None
    return path, 0 if variable == "SSLKEYLOGFILE" else os.stat(path).st_mtime_ns


def authorities_named(library: str) -> str:
    """What names the CA certificates, for messages."""
    found = authorities(library)
    return found[0] if found else "the system"


def authorities(library: str) -> tuple[str, str] | None:
    """The environment variable that names the CA certificates, the first that is set, and its value."""
    return next(((name, value) for name in _AUTHORITIES[library] if (value := os.environ.get(name))), None)


def key_log() -> str | None:
    """The file to which TLS clients write their keys, for those who look at what is sent."""
    return os.environ.get("SSLKEYLOGFILE") or None


def openai_account() -> dict[str, str]:
    """The headers that name an organization and a project of OpenAI, as the openai package reads them."""
    names = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
    return {header: value for header, name in names.items() if (value := os.environ.get(name))}


def check_tls(library: str) -> None:
    """Raise ConfigurationError when a file that the environment names for TLS connections can't be used."""
    used = authorities(library)
    if used is not None:
        check_authorities(used[0])
    check_key_log()


def is_tls(url: str, proxy: Proxy | None) -> bool:
    return url.lower().startswith("https:") or (proxy is not None and proxy.url.startswith("https:"))


def _settings(scheme: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of what may set the proxy for a scheme, in order of precedence."""
    for kind in (scheme.lower(), "all"):
        if found := _variable(kind):
            yield found
    if sys.platform in ("darwin", "win32") and not any(name.lower().endswith("_proxy") for name in os.environ):
        from urllib.request import getproxies

        yield "the system's settings", getproxies().get(scheme, "")


def _variable(kind: str) -> tuple[str, str] | None:
    """Return the name and the value of a proxy variable; the one in lower case takes precedence, as in curl."""
    for name in (f"{kind}_proxy", f"{kind}_proxy".upper()):
        if name == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ:
            return None  # in a CGI script it is a header of the request, which anybody may send
        if name in os.environ:
            return name, os.environ[name].strip()
    return None


def _is_exempt_by_system(host: str) -> bool:
    if sys.platform not in ("darwin", "win32"):
        return False
    from urllib.request import proxy_bypass

    return bool(proxy_bypass(host))


def _covers(entry: str, host: str, port: int, scheme: str) -> bool:
    """Whether an entry of NO_PROXY covers a host, both in lower case."""
    wanted, separator, rest = entry.partition("://")
    if separator:
        if wanted not in ("all", scheme):
            return False
        entry = rest.rstrip("/")
    if entry == "*":
        return True
    network = _network(entry)
    if network is None:
        found = _ENTRY.fullmatch(entry)
        if found is None or (found["port"] and int(found["port"]) != port):
            return False
        entry = found["host"]
        network = _network(entry)
    address = _address(host)
    if network is not None and address is not None and address in network:
        return True
    if _is_loopback(host) and (entry == "localhost" or (network is not None and network.is_loopback)):
        return True
    domain = entry.removeprefix("*").strip(".")
    if "*" in domain:
        return fnmatch.fnmatchcase(host, domain)
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(_BRACKETS.sub(r"\1\2", text), strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback)


def _checked(variable: str, value: str, host: str, library: str) -> str:
    """Return the URL of a proxy, with its scheme. Raises ConfigurationError, which shows no part of it: it may contain
    a password."""
    direct = f"or add {host} to NO_PROXY, to reach it without a proxy"
    if "://" not in value and not _BARE.fullmatch(value):
        raise ConfigurationError(f"{variable} is not the address of a proxy: write http://host:port, {direct}")
    url = value if "://" in value else f"http://{value}"
    scheme, _, rest = url.partition("://")
    scheme = {"socks": "socks5"}.get(scheme.lower(), scheme.lower())
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        is_valid = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_valid = False
    if not is_valid or not value.isprintable() or re.search(r"[\s\"'<>\\]", value):
        raise ConfigurationError(
            f"{variable} is not the address of a proxy (is the host or the port wrong?): write http://host:port, "
            "with special characters of a password as %40 for @, %23 for #, %2F for /, "
            f"{direct}"
        )
    if scheme not in ("http", "https", *_KINDS[library]):
        raise ConfigurationError(
            f"{variable} names a proxy of the kind {scheme[:20]!r}, which can't be used: write http://host:port, "
            f"{direct}"
        )
    module = _SOCKS_MODULES[library]
    if scheme.startswith("socks") and find_spec(module) is None:
        raise ConfigurationError(
            f"{variable} names a SOCKS proxy, which needs a package (pip install {_INSTALLED_AS[module]}): install it, "
            f"set {variable} to an HTTP proxy, {direct}"
        )
    return f"{scheme}://{rest}"

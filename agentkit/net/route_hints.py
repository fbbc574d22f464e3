"""What to look at when a server can't be reached: the words of the error say whether it is the server, its
certificate, the address, or the proxy in between."""

from urllib.parse import urlsplit

from agentkit._lazy.patterns import pattern
from agentkit.net.error_text import innermost
from agentkit.net.outgoing import Proxy, proxy_for

MAX_CHARS = 500
"""Characters of an error that are read."""

_NOT_TRUSTED = pattern(r"self.signed certificate|unable to get (?:local )?issuer certificate")
_OF_STRICT_CHECKS = pattern(r"Missing Authority Key Identifier|Basic Constraints of CA cert not marked critical")
_NO_TLS = pattern(r"WRONG_VERSION_NUMBER|wrong version number|HTTP_REQUEST|UNKNOWN_PROTOCOL|RECORD_LAYER_FAILURE")
_NOT_FOUND = pattern(r"\Agaierror|\ANameResolutionError")
_NO_HTTP = pattern(r"\ABadStatusLine")
_TUNNEL = pattern(r"Tunnel connection failed: ([0-9]{3})")
_CREDENTIALS = "http://USER:PASSWORD@host:port, with %40 for @, %23 for #, %2F for /"


def route_hint(url: str, library: str, error: BaseException | None = None) -> str:
    """What to look at when `url` can't be reached. library: see `agentkit.net.outgoing`. error: what was raised."""
    proxy = proxy_for(url, library)
    said = "" if error is None else _said(error)
    if hint := _about_certificate(said):
        return hint
    if proxy is not None:
        return _about_proxy(proxy, said, urlsplit(url).hostname or "")
    if _NO_TLS.search(said):
        return "does it speak TLS at this port? Else write http:// in place of https://"
    if _NO_HTTP.search(said):
        return "is that an HTTP server? One with TLS is https://"
    return "is its name right, and is there a network?" if _NOT_FOUND.search(said) else "is the server running?"


def _said(error: BaseException) -> str:
    error = innermost(error)
    return f"{type(error).__name__}: {str(error)[:MAX_CHARS]}"


def _about_certificate(said: str) -> str:
    if _NOT_TRUSTED.search(said):
        return (
            "its certificate is of an authority that is not known here: where the network inspects TLS, or the "
            "authority is your own, set SSL_CERT_FILE to a file with its certificate"
        )
    if _OF_STRICT_CHECKS.search(said):
        return "Python 3.13 and later refuse such a certificate of an authority: it has to be made anew"
    return "look at its certificate" if "CERTIFICATE_VERIFY_FAILED" in said else ""


def _about_proxy(proxy: Proxy, said: str, host: str) -> str:
    direct = f"NO_PROXY={host} reaches the server without it"
    refused = _TUNNEL.search(said)
    if refused and refused[1] == "407":
        return (
            f"the proxy of {proxy.variable} wants a user and a password, as Basic authentication: {_CREDENTIALS}; "
            f"{direct}"
        )
    if refused:
        return f"the proxy of {proxy.variable} refuses to connect to {host}; {direct}"
    if _NO_TLS.search(said) and proxy.url.startswith("https:"):
        return f"does the proxy of {proxy.variable} speak TLS? Else write http://host:port; {direct}"
    return f"through the proxy of {proxy.variable}: is it running? {direct}"

"""The URLs of model servers, and where they redirect to."""

from base64 import b64encode
from urllib.parse import SplitResult, unquote_to_bytes, urljoin, urlsplit

from agentkit._text import without_credentials
from agentkit.errors import ConfigurationError
from agentkit.net.parsed_url import parsed_url

ENDPOINT = "/chat/completions"
"""What is added to the URL of a server with OpenAI's API."""
RESPONSES = "/responses"
"""The same for its Responses API."""


def parts_of(base_url: str) -> SplitResult:
    """The parts of the URL of a server. Raises ConfigurationError for what is none, and for the URL of an endpoint."""
    try:
        parts = urlsplit(base_url)
        parsed_url(base_url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # urllib3's error is one
        is_valid = False
    if not is_valid:
        shown = without_credentials(base_url)
        raise ConfigurationError(f"base_url={shown!r} is not a valid URL: write http://host:port")
    endpoint = next((each for each in (ENDPOINT, RESPONSES) if parts.path.rstrip("/").endswith(each)), None)
    if endpoint is not None:
        shown = without_credentials(base_url).partition("?")[0]
        raise ConfigurationError(f"base_url={shown!r} ends in {endpoint}, which is added to it: leave that out")
    return parts


def placed(base_url: str, path: str) -> str:
    """The URL of a path of a server, which may be a whole one. The query of base_url (`?api-version=...`) stands behind
    the path, and is sent with each request."""
    if path.startswith(("http://", "https://")):
        return path
    base, mark, query = base_url.partition("?")
    if not mark:
        return base_url + path
    return f"{base.rstrip('/')}{path}{'&' if '?' in path else '?'}{query}"


def joined(url: str, location: str) -> str | None:
    """Where a response redirects to; None where it can't be followed."""
    try:
        target = urljoin(url, location)
        parsed_url(target)
    except ValueError:
        return None
    return target if target.startswith(("http://", "https://")) else None


def origin_of(url: str) -> str:
    """The scheme, the host and the port of a URL."""
    parts = parsed_url(url)
    return f"{parts.scheme}://{parts.host}:{parts.port or {'https': 443}.get(parts.scheme, 80)}"


def basic_authorization(user: str | None, password: str | None) -> str:
    """The value of Authorization for the user of a URL: the bytes that its escapes stand for, and UTF-8."""
    if not user and not password:
        return ""
    pair = unquote_to_bytes(user or "") + b":" + unquote_to_bytes(password or "")
    return f"Basic {b64encode(pair).decode()}"

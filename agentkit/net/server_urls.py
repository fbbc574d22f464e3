"""The URLs of model servers, and where they redirect to."""

from base64 import b64encode
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from agentkit._text import without_credentials
from agentkit.errors import ConfigurationError
from agentkit.net.parsed_url import parsed_url


def parts_of(base_url: str) -> SplitResult:
    """The parts of the URL of a server. Raises ConfigurationError for what is none."""
    try:
        parts = urlsplit(base_url)
        parsed_url(base_url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # urllib3's error is one
        is_valid = False
    if not is_valid:
        shown = without_credentials(base_url)
        raise ConfigurationError(f"base_url={shown!r} is not a valid URL: write http://host:port")
    return parts


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
    """The value of Authorization for the user of a URL."""
    if not user and not password:
        return ""
    text = f"{unquote(user or '')}:{unquote(password or '')}"
    return f"Basic {b64encode(text.encode()).decode()}"

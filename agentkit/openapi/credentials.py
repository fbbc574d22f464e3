"""The keys of an API: which are sent with a call, where, and that nobody is shown them."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from agentkit._text import cut
from agentkit.errors import ConfigurationError
from agentkit.net.api_call import Signing
from agentkit.net.kept_keys import check_object, keyless
from agentkit.net.keys import blotted_beginning, checked_key
from agentkit.openapi.document import Document, UnresolvableError, mapping, words

Auth = str | tuple[str, str] | Mapping[str, Any] | Signing
"""A bearer token; a user and a password; keys by the names of security schemes; or what signs a request, such as a
`requests.auth.AuthBase`."""
Security = tuple[frozenset[str], ...] | None
"""Alternatives, each the names of the schemes that are needed together; None: the description doesn't say."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")


@dataclass(frozen=True)
class Sent:
    """What is sent with a request. query: "name=key", encoded."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: tuple[str, ...] = field(default=(), repr=False)
    cookies: tuple[str, ...] = field(default=(), repr=False)

    def plus(self, more: "Sent") -> "Sent":
        """Both together."""
        return Sent({**self.headers, **more.headers}, self.query + more.query, self.cookies + more.cookies)


@dataclass(frozen=True)
class Credentials:
    """The keys of an API. always: what each request is sent with. by_scheme: what is sent where a scheme is asked for.
    signing: what signs each request. secrets: the texts that nobody is shown. places: where keys are sent, as the place
    and the name of a parameter."""

    always: Sent = field(default_factory=Sent, repr=False)
    by_scheme: Mapping[str, Sent] = field(default_factory=dict, repr=False)
    signing: Signing | None = field(default=None, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    places: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)

    def __reduce__(self) -> Any:
        """Without keys, which are read from the environment again where it is loaded."""
        check_object(self.signing)
        by_scheme = {name: _keyless(sent, self.secrets) for name, sent in self.by_scheme.items()}
        secrets = tuple(keyless(each, [each]) for each in self.secrets)
        return Credentials, (_keyless(self.always, self.secrets), by_scheme, self.signing, secrets, self.places)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Credentials":
        return self

    def sent_for(self, security: Security) -> Sent:
        """What is sent with a request for which these alternatives are declared: the first that can be met; all keys
        where the description doesn't say."""
        if not self.by_scheme or security == ():
            return self.always
        chosen: frozenset[str] = frozenset(self.by_scheme)
        if security is not None:
            known = [each for each in security if each & chosen]
            met = [each for each in known if each <= chosen]
            chosen &= (met or known or [frozenset[str]()])[0]
        made = self.always
        for name in sorted(chosen):
            made = made.plus(self.by_scheme[name])
        return made

    def hides(self, place: str, name: str) -> bool:
        """Whether a parameter is a key, which is no argument of the model's."""
        return (place, name.lower() if place == "header" else name) in self.places

    def blotted(self, text: str, more: tuple[str, ...] = ()) -> str:
        """A text without the keys, which some servers repeat."""
        return blotted_beginning(text, (*self.secrets, *more))


def _keyless(sent: Sent, secrets: tuple[str, ...]) -> Sent:
    headers = {name: keyless(each, secrets) for name, each in sent.headers.items()}
    query = tuple(keyless(each, secrets) for each in sent.query)
    return Sent(headers, query, tuple(keyless(each, secrets) for each in sent.cookies))


def credentials_of(auth: Auth | None, document: Document) -> Credentials:
    """The keys in `auth`. Raises ConfigurationError, which shows none of them."""
    if auth is None or auth == "":
        return Credentials()
    if isinstance(auth, str):
        return _always(_bearer(auth, "auth"))
    if isinstance(auth, tuple):
        return _always(_basic(auth, "auth"))
    if isinstance(auth, Mapping):
        return _by_scheme(auth, document)
    if callable(auth):
        return Credentials(signing=auth)
    raise ConfigurationError(
        f"auth is a {type(auth).__name__}: pass a token, (user, password), a dict of the security schemes' keys, or a "
        "requests.auth.AuthBase"
    )


def security_of(operation: Mapping[str, Any], document: Document) -> Security:
    """What is declared for an operation."""
    declared = operation.get("security", document.root.get("security"))
    if not isinstance(declared, list):
        return None
    return tuple(frozenset(map(str, mapping(each))) for each in declared)


_Made = tuple[Sent, tuple[str, ...]]
"""What is sent, and the texts in it that are secret."""


def _always(made: _Made) -> Credentials:
    return Credentials(always=made[0], secrets=made[1], places=frozenset({("header", "authorization")}))


def _bearer(token: Any, where: str, scheme: str = "Bearer") -> _Made:
    key = checked_key(token, where) or ""
    return (Sent({"Authorization": f"{scheme} {key}"}), (key,)) if key else (Sent(), ())


def _basic(pair: Any, where: str) -> _Made:
    if isinstance(pair, str) and ":" in pair:
        pair = tuple(pair.split(":", 1))
    is_pair = isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(each, str) for each in pair)
    if not is_pair or ":" in pair[0]:
        raise ConfigurationError(f"{where} has to be a user and a password, two texts: (user, password)")
    written = base64.b64encode(f"{pair[0]}:{pair[1]}".encode()).decode("ascii")
    return Sent({"Authorization": f"Basic {written}"}), (written, pair[1])


def _by_scheme(auth: Mapping[str, Any], document: Document) -> Credentials:
    declared = schemes_of(document)
    by_scheme: dict[str, Sent] = {}
    secrets: list[str] = []
    places: set[tuple[str, str]] = set()
    for name, key in auth.items():
        if name not in declared:
            there_is = ", ".join(map(repr, declared)) or "none"
            raise ConfigurationError(
                f"auth names the security scheme {cut(str(name), 80)!r}, which {document.origin} does not have; it has "
                f"{there_is}"
            )
        (by_scheme[name], found), place = _of_scheme(name, declared[name], key)
        secrets += found
        places.add(place)
    return Credentials(by_scheme=by_scheme, secrets=tuple(secrets), places=frozenset(places))


def schemes_of(document: Document) -> dict[str, Mapping[str, Any]]:
    """The security schemes of a description by name."""
    root = document.root
    found = root.get("securityDefinitions") if document.is_swagger else mapping(root.get("components"))
    declared = mapping(found if document.is_swagger else mapping(found).get("securitySchemes"))
    made = {}
    for name, each in declared.items():
        try:
            made[str(name)] = mapping(document.followed(each)[0])
        except UnresolvableError:
            continue
    return made


def _of_scheme(name: str, scheme: Mapping[str, Any], key: Any) -> tuple[_Made, tuple[str, str]]:
    """What is sent for a security scheme, and where."""
    where, kind = f"auth[{name!r}]", words(scheme.get("type")).lower()
    named = words(scheme.get("scheme")).lower() or "bearer"
    in_header = ("header", "authorization")
    if kind in ("oauth2", "openidconnect") or (kind == "http" and named == "bearer"):
        return _bearer(key, where), in_header
    if kind == "basic" or (kind == "http" and named == "basic"):
        return _basic(key, where), in_header
    if kind == "apikey":
        return _api_key(scheme, key, where)
    raise ConfigurationError(
        f"{where}: a security scheme of the kind {cut(f'{kind} {named}', 60)!r} can't be met by a key: pass a "
        "requests.auth.AuthBase as auth="
    )


def _api_key(scheme: Mapping[str, Any], key: Any, where: str) -> tuple[_Made, tuple[str, str]]:
    field_name, place = words(scheme.get("name")), words(scheme.get("in")).lower()
    text = checked_key(key, where, spaces=place == "header") or ""
    written = quote(text, safe="")
    secrets = tuple(dict.fromkeys((text, written))) if text else ()
    if not field_name or (place != "query" and not _TOKEN.fullmatch(field_name)):
        raise ConfigurationError(f"{where}: its security scheme has no name that a {place or 'request'} can have")
    made = {
        "header": Sent(headers={field_name: text}),
        "query": Sent(query=(f"{quote(field_name, safe='')}={written}",)),
        "cookie": Sent(cookies=(f"{field_name}={written}",)),
    }.get(place)
    if made is None:
        raise ConfigurationError(f"{where}: its security scheme is in {cut(place, 40)!r}, where no key can be sent")
    shown = field_name.lower() if place == "header" else field_name
    return (made if text else Sent(), secrets), (place, shown)

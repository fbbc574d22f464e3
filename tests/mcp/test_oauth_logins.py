"""Logins to MCP servers over time: how they are renewed, when a person is asked, and what ends."""

import contextlib
import errno
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from typer.testing import CliRunner

from agentkit.cli import app
from agentkit.errors import ConfigurationError, ToolError
from agentkit.mcp import MCP
from agentkit.mcp.errors import MCPError
from agentkit.mcp.http.sending import Flight
from agentkit.mcp.oauth import OAuth
from agentkit.mcp.oauth.browser import Browser
from agentkit.mcp.oauth.granting import Registered, Tokens
from agentkit.mcp.oauth.store import Store
from agentkit.net import stored_keys
from agentkit.net.abort import Aborted
from tests.mcp.authority import Authority, Robot, called
from tests.mcp.http_bad import Exchange, HttpBad


def at_once(*steps: Callable[[], Any]) -> list[BaseException]:
    """Run the steps in threads that begin together; returns what they raised."""
    barrier, raised = threading.Barrier(len(steps)), []

    def run(step: Callable[[], Any]) -> None:
        try:
            barrier.wait(20)
            step()
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            raised.append(error)

    threads = [threading.Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_a_stored_login_is_renewed_in_another_process_by_the_client_that_it_was_given_to(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    with HttpBad() as server:
        authority = Authority(server)
        assert called(server, OAuth(Robot(), store=Store(file)))
        authority.valid.clear()
        assert called(server, OAuth(store=Store(file)))
        authority.valid.clear()
        again = Robot(port=9999)
        assert called(server, OAuth(again, store=Store(file)))
        assert ([each["client_id"] for each in authority.forms], again.urls) == (["client-1"] * 3, [])
        authority.valid.clear()
        authority.renewable = False
        assert called(server, OAuth(again, store=Store(file)))  # at another port, as the same client
        assert (len(again.urls), len(authority.clients)) == (1, 1)


def test_a_client_that_is_not_known_any_more_is_registered_again() -> None:
    store = Store(None)
    with HttpBad() as server:
        authority = Authority(server)
        store.keep_client(authority.origin, Robot().redirect_uri, Registered("forgotten"))
        with pytest.raises(KeyError):  # nobody is sent back
            OAuth(Robot(), store=store).login(server.url)
        OAuth(Robot(), store=store).login(server.url)
        assert authority.forms[-1]["client_id"] == "client-1"


@pytest.mark.parametrize(
    ("named", "described"), [("/", ""), ("", "/"), ("/tenant/", "/tenant"), ("/tenant", "/tenant/")]
)
@pytest.mark.parametrize("is_given", [False, True])
def test_a_slash_at_the_end_of_an_issuer_makes_no_other(named: str, described: str, is_given: bool) -> None:
    with HttpBad() as server:
        authority = Authority(server)
        issuer = authority.origin + described
        authority.path = urlsplit(issuer).path.rstrip("/")
        authority.resource = {"authorization_servers": [authority.origin + named]}
        authority.overrides, authority.changed = {"issuer": issuer}, {"iss": issuer}
        store = Store(None)
        assert called(server, OAuth(Robot(), issuer=issuer if is_given else None, store=store))
        assert store.tokens(authority.origin + named, server.url) == store.tokens(issuer, server.url) is not None


def test_a_login_that_was_stored_under_the_other_spelling_is_found_and_renewed(tmp_path: Path) -> None:
    file = tmp_path / "tokens.json"
    with HttpBad() as server:
        authority = Authority(server)
        OAuth(Robot(), store=Store(file)).login(server.url)
        authority.overrides = {"issuer": f"{authority.origin}/"}
        authority.valid.clear()
        assert called(server, OAuth(store=Store(file)))
        assert list(json.loads(file.read_text())) == [authority.origin]


class Person(Robot):
    """Sees the error page of the authorization server, and presses Ctrl-C."""

    def __call__(self, url: str) -> str:
        self.urls.append(url)
        answer = requests.get(url, allow_redirects=False, timeout=10)
        if "Location" not in answer.headers:
            raise KeyboardInterrupt
        return str(answer.headers["Location"])


def test_a_client_that_the_server_has_forgotten_is_not_used_again_after_ctrl_c() -> None:
    store = Store(None)
    with HttpBad() as server:
        authority = Authority(server)
        OAuth(Person(), store=store).login(server.url)
        authority.known.clear()
        with pytest.raises(KeyboardInterrupt):
            OAuth(Person(), store=store).login(server.url)
        OAuth(Person(), store=store).login(server.url)
        assert authority.forms[-1]["client_id"] == "client-2"


def test_a_client_that_is_refused_at_a_renewal_is_registered_again() -> None:
    store = Store(None)
    with HttpBad() as server:
        authority = Authority(server)
        assert called(server, OAuth(Person(), store=store))
        authority.known.clear()
        authority.valid.clear()
        authority.refuses_clients = True
        assert called(server, OAuth(Person(), store=store))
        assert authority.forms[-1]["client_id"] == "client-2"


def test_each_login_comes_back_to_the_port_of_the_client_that_was_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers compare redirect URIs with their ports, whatever RFC 8252 says."""
    monkeypatch.setattr("tests.mcp.authority.without_port", lambda url: url)

    def visit(url: str) -> bool:
        threading.Thread(target=requests.get, args=(url,), kwargs={"timeout": 10}).start()
        return True

    monkeypatch.setattr("webbrowser.open", visit)
    store = Store(tmp_path / "tokens.json")
    ports: list[int | None] = []

    def log_in(browser: Browser) -> None:
        with contextlib.closing(browser):
            OAuth(browser, store=store).login(server.url)
        ports.append(urlsplit(browser.redirect_uri).port)

    with HttpBad() as server:
        authority = Authority(server)
        for _ in range(3):
            log_in(Browser(lambda _: None, seconds=20))
        assert (len(authority.clients), len(set(ports))) == (1, 1)
        with socket.create_server(("127.0.0.1", ports[0])):  # in use by another program
            log_in(Browser(lambda _: None, seconds=20))
        assert len(authority.clients) == 2
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
        log_in(Browser(lambda _: None, port=port, seconds=20))  # asked for
        assert (len(authority.clients), ports[-1]) == (3, port)


class Disk:
    """A disk that may be full when a file of secrets is written."""

    is_full = False

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._replace = stored_keys._replace
        monkeypatch.setattr("agentkit.net.stored_keys._replace", self.replace)

    def replace(self, file: Path, text: str) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._replace(file, text)


def test_no_refresh_token_is_used_up_while_the_file_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, store = Disk(monkeypatch), Store(tmp_path / "tokens.json")
    with HttpBad() as server:
        authority = Authority(server)
        OAuth(Robot(), store=store).login(server.url)
        authority.valid.clear()
        disk.is_full = True
        service = OAuth(store=store)
        for _ in range(2):
            with pytest.raises(ConfigurationError, match=r"the tokens can't be stored: .*No space left"):
                called(server, service)
        assert len(authority.forms) == 1
        disk.is_full = False
        assert called(server, service)


def test_what_a_login_was_renewed_to_is_kept_until_the_file_can_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file, disk = tmp_path / "tokens.json", Disk(monkeypatch)
    with HttpBad() as server:
        authority = Authority(server)
        OAuth(Robot(), store=Store(file)).login(server.url)
        give = authority.give

        def give_and_fill(it: Exchange) -> None:
            disk.is_full = True
            give(it)

        authority.give = give_and_fill  # type: ignore[method-assign]
        service = OAuth(store=Store(file))
        for _ in range(2):  # the second renewal has its refresh token in memory alone
            authority.valid.clear()
            assert called(server, service)
        assert "the tokens can't be stored" in caplog.text
        authority.give = give  # type: ignore[method-assign]
        disk.is_full = False
        authority.valid.clear()
        assert called(server, service)
        authority.valid.clear()
        assert called(server, OAuth(store=Store(file)))  # another program


def test_tokens_that_another_program_has_stored_meanwhile_come_before_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, file = Disk(monkeypatch), tmp_path / "tokens.json"
    one, other = Store(file), Store(file)
    disk.is_full = True
    for each in ("http://b", "http://c"):
        with pytest.raises(ConfigurationError):
            one.keep_tokens("http://a", each, Tokens("in-memory"))
    disk.is_full = False
    other.keep_tokens("http://a/", "http://b", Tokens("of-a-new-login"))

    def found(store: Store) -> list[str]:
        tokens = [store.tokens("http://a", each) for each in ("http://b", "http://c", "http://d")]
        return [each.access_token for each in tokens if each is not None]

    assert found(one) == ["of-a-new-login", "in-memory"]
    one.keep_tokens("http://a", "http://d", Tokens("later"))
    assert found(one) == found(other) == ["of-a-new-login", "in-memory", "later"]


def test_a_person_whose_login_can_not_be_written_is_asked_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    robot = Robot()
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "tokens.json")  # no folder
    with HttpBad() as server:
        authority = Authority(server)
        auth = OAuth(robot, store=store)
        for _ in range(3):
            assert called(server, auth)
        authority.valid.clear()
        assert called(server, auth)
        assert (len(robot.urls), len(authority.clients)) == (1, 1)
        assert "the tokens can't be stored" in caplog.text
        with pytest.raises(ConfigurationError, match="the tokens can't be stored"):  # which is what it is for
            auth.login(server.url)


def test_tokens_are_renewed_by_one_of_several_processes(tmp_path: Path) -> None:
    robot, file = Robot(), tmp_path / "tokens.json"
    with HttpBad() as server:
        authority = Authority(server)
        logins = [OAuth(robot, store=Store(file)) for _ in range(3)]
        for each in logins:
            assert called(server, each)
        authority.valid.clear()
        assert at_once(*(lambda each=each: called(server, each) for each in logins)) == []
        assert [each["grant_type"] for each in authority.forms] == ["authorization_code", "refresh_token"]
        assert len(robot.urls) == 1


def test_tokens_that_are_stored_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    stores = [Store(tmp_path / "tokens.json") for _ in range(2)]

    def work(number: int) -> None:
        for count in range(5):
            stores[number].keep_tokens("http://a", f"http://b/{number}/{count}", Tokens("token"))

    assert at_once(lambda: work(0), lambda: work(1)) == []
    kept = [f"http://b/{number}/{count}" for number in range(2) for count in range(5)]
    assert all(stores[0].tokens("http://a", each) for each in kept)
    assert stores[1].has_login("http://b/1/1/mcp")
    assert not stores[1].has_login("http://b/1/10")


def test_an_authorization_server_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.mcp.oauth.asking.SECONDS", 0.5)
    with HttpBad() as server:
        authority = Authority(server)

        def drip(it: Exchange) -> None:
            it.trickle(it.head(length=1000) + b" " * 1000)

        authority.give = drip  # type: ignore[method-assign]
        with pytest.raises(MCPError, match=r"no token was given: .* gave no answer"):
            called(server, OAuth(Robot(), store=Store(None)))


def test_many_calls_ask_a_person_who_declines_once() -> None:
    robot = Robot()
    with HttpBad() as server:
        authority = Authority(server)
        authority.changed = {"code": "", "error": "access_denied"}
        auth = OAuth(robot, store=Store(None))
        failed = at_once(*[lambda: called(server, auth)] * 4)
        with pytest.raises(MCPError, match="asked again"):
            called(server, auth)
        assert len(robot.urls) == 1
    assert [getattr(each, "code", None) for each in failed] == [401] * 4


def test_a_person_is_not_asked_again_and_again_for_tokens_that_are_not_accepted() -> None:
    robot = Robot()
    with HttpBad() as server:
        authority = Authority(server)
        authority.granted = {"access_token": "no-such-token", "refresh_token": None}
        auth = OAuth(robot, store=Store(None))
        for _ in range(2):
            with pytest.raises(MCPError, match="does not accept"):
                called(server, auth)
        assert len(robot.urls) == 1


def test_a_person_is_asked_for_calls_alone() -> None:
    robot = Robot()
    with HttpBad() as server:
        Authority(server)
        auth = OAuth(robot, store=Store(None))
        note = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
        assert requests.post(server.url, json=note, auth=auth, timeout=10).status_code == 401
        assert requests.get(server.url, auth=auth, timeout=10).status_code == 401
        flight = Flight()
        flight.abort()
        with flight, pytest.raises(Aborted):
            requests.post(server.url, json={**note, "id": 1}, auth=auth, timeout=10)
        assert robot.urls == []


def test_a_person_is_not_asked_when_the_authorization_server_has_a_failure() -> None:
    robot = Robot()
    with HttpBad() as server:
        authority = Authority(server)
        auth = OAuth(robot, store=Store(None))
        assert called(server, auth)
        authority.valid.clear()
        authority.token_status = 503
        with pytest.raises(MCPError, match="503") as caught:
            called(server, auth)
        assert "renewing-1" not in str(caught.value)
        authority.token_status = 200
        assert called(server, auth)
        assert len(robot.urls) == 1


def test_a_scope_of_the_user_does_not_hide_what_a_call_needs() -> None:
    with HttpBad() as server:
        authority = Authority(server)
        authority.scopes = {"write"}
        assert called(server, OAuth(Robot(), scope="read", store=Store(None)))
        assert [each["scope"] for each in authority.asked] == ["read", "read write"]


@pytest.mark.parametrize("token", ["a\r\nX-Evil: 1", "tökén", "", 5])
def test_a_token_that_no_header_can_carry_is_not_stored(token: Any) -> None:
    store = Store(None)
    with HttpBad() as server:
        authority = Authority(server)
        authority.granted = {"access_token": token}
        with pytest.raises(MCPError, match="no bearer token"):
            called(server, OAuth(Robot(), store=store))
        assert not store.has_login(server.url)


def test_nothing_secret_is_shown() -> None:
    shown = repr(Tokens("secret-1", "secret-2", client=Registered("me", "secret-3")))
    assert "secret" not in shown.replace("client_secret", "")
    with HttpBad() as server:
        authority = Authority(server)
        authority.token_status = 400
        with pytest.raises(MCPError, match=r"what have you sent.*secret") as caught:
            called(server, OAuth(Robot(), store=Store(None)))
        form = authority.forms[0]
    assert form["code"] not in str(caught.value)
    assert form["code_verifier"] not in str(caught.value)


def test_a_login_goes_on_whatever_else_comes_to_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(lambda text: None, seconds=20)
    monkeypatch.setattr("agentkit.mcp.oauth.browser.REQUEST_SECONDS", 0.2)

    def opened() -> None:
        requests.get(f"{browser.redirect_uri}?error=access_denied&state=guessed", timeout=10)
        with socket.create_connection(("127.0.0.1", urlsplit(browser.redirect_uri).port), 10) as silent:
            silent.sendall(b"GET //[ HTTP/1.1\r\n")
            requests.get(f"{browser.redirect_uri}?code=1&state=right", timeout=10)

    monkeypatch.setattr("webbrowser.open", lambda url: threading.Thread(target=opened).start())
    assert browser("http://authority/authorize?state=right").endswith("/callback?code=1&state=right")
    browser.close()


def test_a_login_of_the_command_line_is_used_for_its_address_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(url: str) -> None:
        threading.Thread(target=requests.get, args=(url,), kwargs={"timeout": 10}).start()

    monkeypatch.setattr("webbrowser.open", opened)
    with HttpBad() as server:
        authority = Authority(server)
        with MCP(server.url) as tools, pytest.raises(ToolError, match="agentkit mcp login"):
            tools["fault"](fault="none")
        done = CliRunner().invoke(app, ["mcp", "login", server.url])
        assert (done.exit_code, done.stdout) == (0, "")
        assert f"stored in {Store.of_user().path}" in done.stderr.replace("\n", "")
        assert not [each for each in (*authority.valid, *authority.renewing) if each in done.output]
        authority.valid.clear()  # it is renewed
        with MCP(server.url) as tools:
            assert "here" in str(tools["fault"](fault="none"))
        authority.valid.clear()
        authority.renewable = False
        for auth, words in (("stored", "agentkit mcp login"), (None, "asks for authorization")):
            with MCP(server.url, auth=auth) as tools, pytest.raises(ToolError, match=words):
                tools["fault"](fault="none")
        assert (len(authority.asked), len(authority.clients)) == (1, 1)


def test_a_login_that_is_not_possible_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpBad() as server:
        done = CliRunner().invoke(app, ["mcp", "login", server.url])
        assert (done.exit_code, "does not ask for a login" in done.stderr) == (1, True)
    done = CliRunner().invoke(app, ["mcp", "login", "host/mcp"])
    assert (done.exit_code, "is not the URL of an MCP server" in done.stderr) == (2, True)

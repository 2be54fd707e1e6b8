"""The SDK and the commands over TLS: everything as without it, and who cannot connect is told which file or variable to set."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

import callboard
import callboard.aio
from callboard.client.board_settings import BoardSettings, board_settings
from callboard.client.client import Client
from callboard.client.errors import ProtocolError, UnreachableError
from callboard.client.settings import ClientSettings, from_environment, parse_base
from callboard.model.errors import InvalidError
from tests.certificates import Authority
from tests.servers import ServerProcess, running_server
from tests.support import poll_until


class Stage(NamedTuple):
    authority: Authority
    server: ServerProcess

    @property
    def url(self) -> str:
        return str(self.server.ready["https"][0])

    @property
    def settings(self) -> ClientSettings:
        return ClientSettings(urls=(self.url,), ca_file=self.authority.ca)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    cert, key = authority.issue("server")
    with running_server("--dev", "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key) as server:
        yield Stage(authority, server)


@pytest.fixture(scope="module")
def closed_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A server that wants certificates."""
    authority = Authority(tmp_path_factory.mktemp("mtls"))
    cert, key = authority.issue("server")
    flags = ("--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", authority.ca)
    with running_server("--dev", *flags) as server:
        yield Stage(authority, server)


def test_requests_use_a_kept_connection(stage: Stage) -> None:
    with Client(stage.settings) as client:
        for _ in range(5):
            client.services()
        assert len(client._transport._idle) == 1  # noqa: SLF001  # that is what kept means
        assert client._transport._idle[0].alive()  # noqa: SLF001


def test_a_board_signs_in_beats_follows_and_leaves(stage: Stage) -> None:
    settings = BoardSettings(client=stage.settings, snapshots="off", lease_ms=1_000, drain_notice_ms=0)
    with callboard.connect(settings=settings) as board:
        with board.register("web", port=stage.server.http[1]) as me:
            me.wait(60)
            service = board.service("web")
            service.wait(60)
            with service.pick() as endpoint:
                assert endpoint.port == stage.server.http[1]
            threading.Event().wait(1.5)  # longer than a lease: heartbeats went over TLS
            with Client(stage.settings) as client:
                assert [one.status for one in client.instances("web").instances] == ["passing"]
        with Client(stage.settings) as client:
            poll_until(lambda: not client.instances("web").instances)


def test_a_board_speaks_to_consuls_api_over_tls(stage: Stage) -> None:
    environment = {
        "CONSUL_HTTP_ADDR": "consul://" + stage.url.removeprefix("https://"),
        "CONSUL_HTTP_SSL": "true",
        "CONSUL_CACERT": stage.authority.ca,
        "CALLBOARD_SNAPSHOTS": "off",
    }
    settings = board_settings(environment)
    assert settings.client.urls == (stage.url,)
    with callboard.connect(settings=settings) as board, board.register("books", port=stage.server.http[1]) as me:
        me.wait(60)
        service = board.service("books")
        service.wait(60)
        with service.pick() as endpoint:
            assert endpoint.port == stage.server.http[1]


def test_a_board_for_asyncio_does_the_same(stage: Stage) -> None:
    async def scenario() -> None:
        settings = BoardSettings(client=stage.settings, snapshots="off", drain_notice_ms=0)
        async with callboard.aio.connect(settings=settings) as board, board.register("films", port=stage.server.http[1]) as me:
            await me.wait(60)
            service = board.service("films")
            await service.wait(60)
            async with service.pick() as endpoint:
                assert endpoint.port == stage.server.http[1]

    asyncio.run(scenario())


def test_a_stream_is_closed_from_another_thread_at_once(stage: Stage) -> None:
    with Client(stage.settings) as client, client.watch("web") as watch:
        ended = threading.Event()

        def read() -> None:
            for _ in watch:
                started.set()
            ended.set()

        started = threading.Event()
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        assert started.wait(60)
        watch.close()
        assert ended.wait(60)
        thread.join(60)


def command(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOARD_", "CONSUL_"))}
    line = [sys.executable, "-m", "callboard", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, env={**inherited, **environment})


def test_commands_take_the_files_from_the_environment(stage: Stage) -> None:
    done = command("services", "-o", "name", CALLBOARD_URL=stage.url, CALLBOARD_CA_FILE=stage.authority.ca)
    assert done.returncode == 0, done.stderr
    there = stage.url.removeprefix("https://")
    done = command("services", CONSUL_HTTP_ADDR=there, CONSUL_HTTP_SSL="1", CONSUL_HTTP_SSL_VERIFY="false")
    assert done.returncode == 0, done.stderr
    done = command("services", CALLBOARD_URL=stage.url, CALLBOARD_CA_FILE="/nowhere/ca.pem")
    assert done.returncode == 2
    assert "CALLBOARD_CA_FILE: /nowhere/ca.pem cannot be read" in done.stderr
    done = command("services", CALLBOARD_URL=stage.url)
    assert done.returncode == 5
    assert "its CA is to be named by CALLBOARD_CA_FILE" in done.stderr


def problem(settings: ClientSettings) -> str:
    with Client(settings) as client, pytest.raises(UnreachableError) as caught:
        client.services()
    assert caught.value.sent is False
    return str(caught.value)


def test_what_is_wrong_with_the_server_is_said(stage: Stage, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    untrusted = problem(ClientSettings(urls=(stage.url,), ca_file=other.ca))
    assert "its CA is to be named by CALLBOARD_CA_FILE" in untrusted
    assert "no server answers" not in untrusted, "one does"
    plain = stage.server.url.replace("http://", "https://")
    assert problem(ClientSettings(urls=(plain,), ca_file=other.ca)) == f"{plain} does not speak TLS; ask {stage.server.url}"
    clear = ClientSettings(urls=(stage.url.replace("https://", "http://"),))
    with Client(clear) as client, pytest.raises(ProtocolError, match=f"^{clear.urls[0]} speaks TLS; ask {stage.url}$"):
        client.services()
    with Client(ClientSettings(urls=(stage.url,), verify=False)) as client:
        client.services()


@pytest.mark.parametrize(
    ("hosts", "days", "said"),
    [(("registry.example.org",), 90, "certificate is not valid for '127.0.0.1'"), (("127.0.0.1",), -1, "certificate has expired")],
)
def test_another_name_and_an_old_certificate_are_said(hosts: tuple[str, ...], days: int, said: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("server", *hosts, ends=timedelta(days=days))
    with running_server("--dev", "--https", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key) as server:
        assert said in problem(ClientSettings(urls=(str(server.ready["https"][0]),), ca_file=authority.ca))


def test_a_server_that_wants_a_certificate_is_shown_one_or_says_so(closed_stage: Stage, tmp_path: Path) -> None:
    authority, url = closed_stage.authority, closed_stage.url
    assert "CALLBOARD_CERT_FILE and CALLBOARD_KEY_FILE name it" in problem(closed_stage.settings)
    cert, key = Authority(tmp_path).issue("stranger", "me")
    refused = problem(ClientSettings(urls=(url,), ca_file=authority.ca, cert_file=cert, key_file=key))
    assert "that is the one in CALLBOARD_CERT_FILE" in refused
    cert, key = authority.issue("me", "me")
    environment = {"CALLBOARD_URL": url, "CALLBOARD_CA_FILE": authority.ca, "CALLBOARD_CERT_FILE": cert, "CALLBOARD_KEY_FILE": key}
    with Client(from_environment(environment)) as client:
        client.services()
    both = tmp_path / "both.pem"
    both.write_bytes(Path(cert).read_bytes() + Path(key).read_bytes())
    with Client(ClientSettings(urls=(url,), ca_file=authority.ca, cert_file=str(both))) as client:
        client.services()


def test_a_write_that_was_refused_at_the_handshake_was_not_made(closed_stage: Stage) -> None:
    with Client(closed_stage.settings) as client, pytest.raises(UnreachableError) as caught:
        client.drain("web-1")
    assert caught.value.sent is False


@pytest.mark.parametrize(
    ("environment", "urls", "files", "verify"),
    [
        ({"CALLBOARD_URL": "https://a:1", "CALLBOARD_CA_FILE": "c", "CONSUL_CACERT": "d"}, ("https://a:1",), ("c", "", ""), True),
        ({"CALLBOARD_URL": "https://a:1", "CONSUL_CACERT": "d", "CONSUL_HTTP_SSL_VERIFY": "0"}, ("https://a:1",), ("", "", ""), True),
        ({"CONSUL_HTTP_ADDR": "a:1", "CONSUL_HTTP_SSL": "true", "CONSUL_CACERT": "d"}, ("https://a:1",), ("d", "", ""), True),
        ({"CONSUL_HTTP_ADDR": "http://a:1", "CONSUL_HTTP_SSL": "true"}, ("https://a:1",), ("", "", ""), True),
        ({"CONSUL_HTTP_ADDR": "https://a:1", "CONSUL_CLIENT_CERT": "e", "CONSUL_CLIENT_KEY": "f"}, ("https://a:1",), ("", "e", "f"), True),
        ({"CONSUL_HTTP_ADDR": "a:1", "CONSUL_HTTP_SSL": "false", "CONSUL_HTTP_SSL_VERIFY": "false"}, ("a:1",), ("", "", ""), False),
    ],
)
def test_the_environment_says_how(environment: dict[str, str], urls: tuple[str, ...], files: tuple[str, ...], verify: bool) -> None:
    for settings in (from_environment(environment), board_settings(environment).client):
        assert settings.urls == urls
        assert (settings.ca_file, settings.cert_file, settings.key_file) == files
        assert settings.verify is verify


def test_what_is_no_truth_is_refused_by_name() -> None:
    for variable in ("CONSUL_HTTP_SSL", "CONSUL_HTTP_SSL_VERIFY"):
        with pytest.raises(InvalidError, match=f"{variable}: 'perhaps' must be true or false"):
            from_environment({"CONSUL_HTTP_ADDR": "a:1", variable: "perhaps"})


def test_a_url_of_its_own_port_and_scheme() -> None:
    assert str(parse_base("https://registry.example.org/below/")) == "https://registry.example.org:443/below"
    assert parse_base("https://[::1]:8501") == ("::1", 8501, "", True)


def test_nothing_is_read_unless_a_url_says_https() -> None:
    Client(ClientSettings(ca_file="/nowhere")).close()

"""Exit codes are 0 ok, 1 error, 2 usage, 3 not found, 4 unhealthy or incompatible, 5 unreachable; scripts depend on them."""

import pytest
from click.testing import CliRunner, Result

from callboard.cli.main import COMMANDS, main
from tests.client.broken import answer, broken_server, problem
from tests.servers import ServerProcess, free_port


def ask(url: str, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, list(arguments), env={"CALLBOARD_URL": url, **environment})


def test_code_5_unreachable_names_the_servers_and_the_next_step() -> None:
    urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    shown = ask(",".join(urls), "services")
    assert (shown.exit_code, shown.stdout) == (5, "")
    assert all(url in shown.stderr for url in urls)
    assert "callboard serve" in shown.stderr
    assert ask(urls[0], "watch").exit_code == 5
    assert ask(urls[0], "register", "web").exit_code == 5


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        (problem("503 Later", "unavailable"), 4, "it is so"),
        (answer("200 OK", b"<html>"), 4, "does not answer as a Callboard server does"),
        (answer("404 Not Found", b"nothing"), 4, "CALLBOARD_URL"),
        (problem("403 No", "denied"), 1, "it is so"),
        (problem("400 Bad", "invalid"), 2, "it is so"),
        (problem("409 Two", "ambiguous"), 2, "it is so"),
    ],
)
def test_codes_of_refusals(said: bytes, code: int, text: str) -> None:
    with broken_server(said) as server:
        shown = ask(server.url, "services")
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert text in shown.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("services", "--frobnicate"),
        ("services", "-o", "yaml"),
        ("services", "--timeout", "soon"),
        ("services", "--url", "ftp://127.0.0.1"),
        ("instances",),
        ("resolve", "web", "--limit", "0"),
        ("register", "web", "--port", "70000"),
        ("register", "web", "--meta", "novalue"),
        ("register", "web", "--interval", "5s"),
        ("register", ""),
    ],
)
def test_code_2_usage(server: ServerProcess, arguments: tuple[str, ...]) -> None:
    shown = ask(server.url, *arguments)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr


def test_the_environment_says_whom_to_ask_and_the_option_comes_first(server: ServerProcess) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    consul = server.url.removeprefix("http://")
    assert ask("", "status", CONSUL_HTTP_ADDR=consul).exit_code == 0
    assert ask(nobody, "status", CONSUL_HTTP_ADDR=consul).exit_code == 5
    assert ask(nobody, "status", "--url", server.url).exit_code == 0
    assert ask(f"{nobody},{server.url}", "status").exit_code == 0


def test_the_token_of_the_environment_is_sent() -> None:
    with broken_server(problem("403 No", "denied")) as server:
        ask(server.url, "status", CALLBOARD_TOKEN="s3cret")
        assert b"Authorization: Bearer s3cret" in server.requests[0]


def test_help_and_version_need_no_server() -> None:
    shown = CliRunner().invoke(main, ["--help"])
    assert shown.exit_code == 0
    assert "5 unreachable, 130 interrupted." in shown.stdout
    for command in ("serve", "services", "instances", "resolve", "watch", "status", "members", "register", "deregister", "drain", "demo"):
        assert f"  {command} " in shown.stdout
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0
    assert CliRunner().invoke(main, ["--version"]).stdout.startswith("callboard ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("services",),
        ("instances", "web"),
        ("resolve", "web"),
        ("watch",),
        ("status",),
        ("members",),
        ("register", "web"),
        ("deregister", "web"),
        ("drain", "web"),
    ],
    ids=lambda arguments: str(arguments[0]),
)
def test_a_command_that_asks_a_callboard_server_says_so_when_it_is_told_of_consul(arguments: tuple[str, ...]) -> None:
    for shown in (
        ask("consul://127.0.0.1:1", *arguments),
        ask("", *arguments, "--url", "http://127.0.0.1:1, CONSUL://127.0.0.1:1"),
        ask("", *arguments, CONSUL_HTTP_ADDR="consul://127.0.0.1:1"),
    ):
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert "consul:// is for run, call and the SDK; this command asks a Callboard server: --url http://" in shown.stderr


def test_what_the_line_says_comes_before_a_consul_in_the_environment(server: ServerProcess) -> None:
    assert ask("consul://127.0.0.1:1", "status", "--url", server.url).exit_code == 0


def test_a_mistyped_command_is_told_the_nearest() -> None:
    shown = CliRunner().invoke(main, ["servces"])
    assert shown.exit_code == 2
    assert "Did you mean 'services' or 'serve'?" in shown.stderr
    assert "Did you mean" not in CliRunner().invoke(main, ["xyzzy"]).stderr


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_small_terminal(command: str) -> None:
    """What is not wrapped, such as examples, too."""
    shown = CliRunner().invoke(main, [*command.split(), "--help"], terminal_width=80)
    assert [line for line in shown.stdout.splitlines() if len(line) > 80] == []

"""Shell completion: driven through the shells themselves, with names out of a real server's catalog."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from callboard.client import Client, Registration
from tests.cli.conftest import Run
from tests.client.broken import HANG, broken_server
from tests.interop.environments import need
from tests.servers import ServerProcess, free_port

BASH = """
eval "$(callboard completion bash)"
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_callboard_completion callboard
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
FISH = """
callboard completion fish | source
complete --do-complete '{line}'
"""
ZSH = """
autoload -Uz compinit && compinit -D -u
eval "$(callboard completion zsh)"
compadd() {{ shift_to_names "$@" }}
shift_to_names() {{ while [[ $# -gt 0 && "$1" != -a ]]; do shift; done; shift; print -l -- ${{(P)1}} }}
_describe() {{ print -l -- ${{(P)${{@[-1]}}}} ${{(P)${{@[2]}}}} }}
words=({words}); CURRENT=${{#words}}
_callboard_completion
"""


def environment(folder: Path, url: str) -> dict[str, str]:
    """With the program of this interpreter first in PATH, and a home where no shell has been."""
    programs = Path(sys.executable).parent
    return {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder), "CALLBOARD_URL": url}


def shell(program: str, script: str, said: Mapping[str, str]) -> set[str]:
    done = subprocess.run([program, "-c", script], env=dict(said), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return {line.partition("\t")[0] for line in done.stdout.split("\n") if line}


def sign_in(client: Client, space: str, *names: str) -> None:
    for name in names:
        client.put(Registration(service=name, namespace=space, address="10.0.0.1", port=80))


def test_bash_completes_commands_options_and_services(server: ServerProcess, client: Client, space: str, tmp_path: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    sign_in(client, space, "web", "web-admin", "orders")
    said = {**environment(tmp_path, server.url), "CALLBOARD_NAMESPACE": space}
    assert shell(bash, BASH.format(words="callboard do"), said) == {"doctor"}
    assert "--namespace" in shell(bash, BASH.format(words="callboard doctor --n"), said)
    assert shell(bash, BASH.format(words="callboard instances we"), said) == {"web", "web-admin"}
    assert shell(bash, BASH.format(words="callboard watch orders web-"), said) == {"web-admin"}
    assert shell(bash, BASH.format(words=f"callboard resolve --url {server.url} o"), {**said, "CALLBOARD_URL": "http://127.0.0.1:1"}) == {
        "orders"
    }


def test_a_name_that_would_write_on_the_command_line_is_not_offered(
    server: ServerProcess, client: Client, space: str, tmp_path: Path
) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    sign_in(client, space, "web", "web;touch /tmp/x", "web$(id)", "web *", "web`id`")
    said = {**environment(tmp_path, server.url), "CALLBOARD_NAMESPACE": space}
    assert shell(bash, BASH.format(words="callboard instances we"), said) == {"web"}


@pytest.mark.parametrize("answers", [True, False], ids=["silent server", "no server"])
def test_without_an_answer_it_is_quiet_and_does_not_hang(tmp_path: Path, *, answers: bool) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    with broken_server(HANG) as hanging:
        url = hanging.url if answers else f"http://127.0.0.1:{free_port()}"
        begin = time.monotonic()
        assert shell(bash, BASH.format(words="callboard instances we"), environment(tmp_path, url)) == set()
        assert time.monotonic() - begin < 30, "the client's own limit is 10 s for one server; here nobody waits for it"


def test_each_shell_is_told_how_it_is_installed(run: Run) -> None:
    for name, place in (("bash", "~/.bashrc"), ("zsh", "~/.zshrc"), ("fish", "~/.config/fish")):
        from click.testing import CliRunner

        from callboard.cli.main import main

        shown = CliRunner().invoke(main, ["completion", name])
        assert shown.exit_code == 0
        assert place in shown.stdout.splitlines()[0]


@pytest.mark.interop
def test_fish_and_zsh_complete_services(server: ServerProcess, client: Client, space: str, tmp_path: Path) -> None:
    sign_in(client, space, "web", "web-admin", "orders")
    said = {**environment(tmp_path, server.url), "CALLBOARD_NAMESPACE": space}
    assert shell(need("fish"), FISH.format(line="callboard instances we"), said) == {"web", "web-admin"}
    assert {"web", "web-admin"} <= shell(need("zsh"), ZSH.format(words="callboard instances we"), said)

"""Three members on a real etcd that speak with each other over TLS only; certificates and their CA are replaced while it serves."""

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from callboard.testing.etcd import Etcd
from tests.certificates import Authority
from tests.servers import ServerProcess, free_port, start_server
from tests.support import poll_until

pytestmark = [pytest.mark.interop, pytest.mark.timeout(400)]

NAMES: Final = ("a", "b", "c")
QUICK: Final = {"CALLBOARD_TUNE_PEER_IDLE_TIME_MAX_MS": "50"}
"""A connection that has rested is not used again, so that new certificates matter at once."""


class Cluster:
    """Its members, which may be ended and started again under their name."""

    def __init__(self, folder: Path, store: str, *, mutual: bool) -> None:
        self.folder = folder
        self._store = store
        self._mutual = mutual
        self._ports = {name: free_port() for name in NAMES}
        self.authority = Authority(folder)
        self.running: dict[str, ServerProcess] = {}

    def issue(self, authority: Authority | None = None) -> None:
        """New certificates for everybody."""
        for name in NAMES:
            (authority or self.authority).issue(f"member-{name}", "127.0.0.1")

    def start(self, name: str) -> None:
        own = str(self.folder / f"member-{name}.pem"), str(self.folder / f"member-{name}-key.pem")
        place = f"127.0.0.1:{self._ports[name]}"
        settings = {**QUICK, "CALLBOARD_TUNE_PEER_URL": f"https://{place}", "CALLBOARD_TUNE_PEER_CA_FILE": self.authority.ca}
        flags = ["--https", place, "--tls-cert", own[0], "--tls-key", own[1]]
        if self._mutual:
            flags += ["--tls-client-ca", self.authority.ca]
            settings |= {"CALLBOARD_TUNE_PEER_CERT_FILE": own[0], "CALLBOARD_TUNE_PEER_KEY_FILE": own[1]}
        self.running[name] = start_server(
            "--store", self._store, "--member", name, "--data", str(self.folder / name), *flags, environment=settings
        )  # fmt: skip

    def stop(self, name: str) -> None:
        assert self.running.pop(name).stop() == 0

    def ask(self, name: str, method: str, path: str, body: object = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        asked = urllib.request.Request(self.running[name].url + path, data, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def leader(self) -> str:
        """Who leads; empty while nobody does."""
        return next((str(each["name"]) for each in self.ask("a", "GET", "/api/v1/members")["members"] if each["leading"]), "")

    def metric(self, name: str, of: str) -> float:
        with urllib.request.urlopen(self.running[name].url + "/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"callboard_{of} ")).partition(" ")[2])

    def register(self, service: str) -> None:
        """Through each member once: two of three hand it to the leader over their link. Then everybody knows all."""
        for name in self.running:
            poll_until(lambda name=name: self._registered(name, f"{service}-{name}"))  # type: ignore[misc]
        wanted = {f"{service}-{name}" for name in self.running}
        for name in self.running:
            poll_until(lambda name=name: wanted <= set(self.ask(name, "GET", "/v1/catalog/services")))  # type: ignore[misc]

    def _registered(self, name: str, service: str) -> bool:
        try:
            self.ask(name, "PUT", "/v1/agent/service/register", {"Name": service, "Port": 80})
        except urllib.error.HTTPError as error:
            error.close()
            return False
        return True


@contextlib.contextmanager
def cluster(folder: Path, *, mutual: bool) -> Iterator[Cluster]:
    with Etcd.running(folder / "etcd") as etcd:
        made = Cluster(folder, etcd.url(), mutual=mutual)
        made.issue()
        try:
            for name in NAMES:
                made.start(name)
            yield made
        finally:
            for server in made.running.values():
                server.stop()


@pytest.mark.parametrize("mutual", [False, True])
def test_members_speak_over_tls_and_go_on_while_certificates_and_their_ca_change(mutual: bool, tmp_path: Path) -> None:
    with cluster(tmp_path, mutual=mutual) as made:
        made.register("first")
        poll_until(lambda: {each["name"] for each in made.ask("a", "GET", "/api/v1/members")["members"]} == set(NAMES))
        members = made.ask("a", "GET", "/api/v1/members")["members"]
        assert {each["url"].partition("//")[0] for each in members} == {"https:"}
        assert sum(made.metric(name, "tls_handshakes_total") for name in NAMES) >= 2
        assert sum(made.metric(name, "peer_sent_total") for name in NAMES) >= 2

        made.issue()
        for name in NAMES:
            poll_until(lambda name=name: made.metric(name, "tls_reloads_total") >= 1)  # type: ignore[misc]
        made.register("second")

        old, new = Path(made.authority.ca), Authority(tmp_path, "new-ca")
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(old.read_bytes() + Path(new.ca).read_bytes())
        bundle.replace(old)  # both are trusted, before anybody shows a certificate of the new one
        if mutual:
            for name in NAMES:
                poll_until(lambda name=name: made.metric(name, "tls_reloads_total") >= 2)  # type: ignore[misc]
        made.issue(new)
        for name in NAMES:
            poll_until(lambda name=name: made.metric(name, "tls_reloads_total") >= 2 + mutual)  # type: ignore[misc]
        made.register("third")
        old.write_bytes(Path(new.ca).read_bytes())
        made.stop("b")
        made.start("b")
        made.register("fourth")
        assert all(made.metric(name, "tls_reloads_failed_total") == 0 for name in NAMES)


def test_a_member_whose_certificate_nobody_trusts_is_named_and_heals(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with cluster(tmp_path, mutual=False) as made:
        made.register("first")
        leader = poll_until(made.leader)
        follower = next(name for name in NAMES if name != leader)
        before = made.metric(leader, "tls_reloads_total")
        Authority(tmp_path, "stranger").issue(f"member-{leader}", "127.0.0.1")
        poll_until(lambda: made.metric(leader, "tls_reloads_total") > before)
        poll_until(lambda: made.metric(follower, "peer_unreachable_total") > 0)
        assert "first-a" in made.ask(follower, "GET", "/v1/catalog/services"), "reads go on"
        said = ""

        def named() -> bool:
            nonlocal said
            said += capfd.readouterr().err
            return "certificate" in said and leader in said

        poll_until(named)
        made.issue()
        poll_until(lambda: made.metric(leader, "tls_reloads_total") > before + 1)
        made.register("second")

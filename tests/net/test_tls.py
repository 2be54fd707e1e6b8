"""The certificate in use, and the one a client trusts: new files are taken when they are good, and never when they are not."""

import gc
import logging
import shutil
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from callboard.model.errors import InvalidError
from callboard.net.seldom import LINES_MAX_COUNT, Seldom
from callboard.net.tls import ClientFiles, ClientTrust, HandshakeError, ServerTls, TlsFiles, words
from tests.certificates import Authority, Pair

DAY_S = 86_400.0
FIELDS = ClientFiles("ca_file", "cert_file", "key_file")


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def shake(server: ssl.SSLContext, client: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
    """One handshake without a network; what the client sees then."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
    two = server.wrap_bio(to_server, to_client, server_side=True)
    done = {"one": False, "two": False}
    while not all(done.values()):
        for name, side in (("one", one), ("two", two)):
            if not done[name]:
                try:
                    side.do_handshake()
                    done[name] = True
                except ssl.SSLWantReadError:
                    pass
    two.write(b"x")
    assert one.read(1) == b"x"
    return one


def serial(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    shown = shake(server, client).getpeercert()
    assert shown is not None
    return str(shown["serialNumber"])


def test_the_file_is_shown_and_when_it_ends_is_counted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = ServerTls(TlsFiles(*authority.issue("server")))
    client = authority.client()
    client.set_alpn_protocols(["h2", "http/1.1"])
    assert shake(tls.context(), client).selected_alpn_protocol() == "http/1.1"
    client.set_alpn_protocols(["dot"])
    assert shake(tls.context(), client).selected_alpn_protocol() == "dot"
    assert tls.stats.certificate_expires_timestamp_seconds - time.time() == pytest.approx(90 * DAY_S, abs=3_600)


def test_old_versions_are_not_spoken(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls, client = ServerTls(TlsFiles(*authority.issue("server"))), authority.client()
    assert tls.context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True).context.minimum_version == ssl.TLSVersion.TLSv1_2
    client.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        shake(tls.context(), client)


def test_new_files_are_taken_after_they_rested_and_hold_for_new_connections(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    authority = Authority(tmp_path)
    tls, client = ServerTls(TlsFiles(*authority.issue("server"))), authority.client()
    context, before = tls.context(), serial(tls.context(), client)
    old = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True).context
    tls.look()
    authority.issue("server")
    tls.look()
    assert serial(context, client) == before, "the key may still be under way"
    tls.look()
    after = serial(context, client)
    assert after != before
    assert serial(old, client) == before, "a connection keeps what it began with"
    assert (tls.stats.reloads, tls.stats.reloads_failed) == (1, 0)
    assert "is in use now" in caplog.text
    tls.look()
    assert tls.stats.reloads == 1


def expired(authority: Authority) -> Pair:
    return authority.issue("server", ends=timedelta(days=-1), begins=timedelta(days=-10))


def early(authority: Authority) -> Pair:
    return authority.issue("server", begins=timedelta(days=2), ends=timedelta(days=9))


def other_key(authority: Authority) -> Pair:
    pair = authority.issue("server")
    Path(pair.key).write_bytes(Path(authority.issue("other").key).read_bytes())
    return pair


def no_key(authority: Authority) -> Pair:
    pair = authority.issue("server")
    Path(pair.key).unlink()
    return pair


def scrap(authority: Authority) -> Pair:
    pair = authority.issue("server")
    Path(pair.cert).write_text("not a certificate")
    return pair


def broken(authority: Authority) -> Pair:
    pair = authority.issue("server")
    lines = Path(pair.cert).read_text().splitlines()
    Path(pair.cert).write_text("\n".join([*lines[:2], *lines[4:]]))
    return pair


def key_with_password(authority: Authority) -> Pair:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key

    pair = authority.issue("server")
    key = load_pem_private_key(Path(pair.key).read_bytes(), None)
    Path(pair.key).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
    return pair


WRONG: list[tuple[Callable[[Authority], Pair], str]] = [
    (expired, "tls_cert: .*ended on"),
    (early, "tls_cert: .*does not hold before"),
    (other_key, "tls_key: .*does not belong to"),
    (no_key, "tls_key: .*cannot be read: no such file"),
    (scrap, "tls_cert: .*there is none"),
    (broken, "tls_cert: .*(damaged|cannot be used)|tls_key: .*cannot be used"),
    (key_with_password, "tls_key: .*password"),
]


@pytest.mark.parametrize(("spoil", "reason"), WRONG)
def test_new_files_that_are_wrong_are_named_and_the_old_go_on(
    spoil: Callable[[Authority], Pair], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    clock = Clock()
    tls, client = ServerTls(TlsFiles(*authority.issue("server")), clock), authority.client()
    before = serial(tls.context(), client)
    spoil(authority)
    for _ in range(5):
        tls.look()
        clock.now += 1
    assert serial(tls.context(), client) == before
    assert [record.levelname for record in caplog.records] == ["ERROR"], "said once"
    assert "the old one goes on" in caplog.text
    with pytest.raises(InvalidError, match=reason):
        tls.reload()
    assert (tls.stats.reloads, tls.stats.reloads_failed) == (0, 1)
    authority.issue("server")
    tls.look()
    tls.look()
    assert serial(tls.context(), client) != before, "what is mended is taken"


@pytest.mark.parametrize(("spoil", "reason"), WRONG[2:])
def test_a_server_does_not_start_with_files_that_are_wrong(spoil: Callable[[Authority], Pair], reason: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match=reason):
        ServerTls(TlsFiles(*spoil(Authority(tmp_path))))


def test_one_that_has_ended_is_shown_at_start_and_spoken_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    authority = Authority(tmp_path)
    tls = ServerTls(TlsFiles(*expired(authority)))
    assert "clients refuse it" in caplog.text
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake(tls.context(), authority.client())


def test_one_that_ends_soon_is_spoken_of_once_a_day(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    tls = ServerTls(TlsFiles(*Authority(tmp_path).issue("server", ends=timedelta(days=32))), clock)
    assert caplog.records == []
    for _ in range(4 * 24):
        clock.now += 3_600
        tls.look()
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert "in 29 days" in caplog.text


def test_a_file_that_could_not_be_read_is_tried_again_without_a_sign(tmp_path: Path) -> None:
    authority, clock = Authority(tmp_path), Clock()
    tls = ServerTls(TlsFiles(*authority.issue("server")), clock)
    early(authority)
    tls.look()
    tls.look()
    assert tls.stats.reloads_failed == 1
    clock.now += 3 * DAY_S
    tls.look()
    assert tls.stats.reloads == 1


def test_with_a_client_ca_only_its_clients_are_served(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    server, ours = authority.issue("server"), authority.issue("ours", "me")
    tls = ServerTls(TlsFiles(*server, authority.ca))
    assert shake(tls.context(), authority.client(ours)).version() == "TLSv1.3"
    cases = [(None, "it shows no certificate"), (stranger.issue("theirs", "me"), "not accepted: unable to get local issuer certificate")]
    cases.append((authority.issue("late", "me", ends=timedelta(days=-1)), "not accepted: certificate has expired"))
    for pair, reason in cases:
        with pytest.raises(HandshakeError) as caught:
            shake(tls.context(), authority.client(pair))
        assert reason in words(caught.value)
        assert caught.value.alert, "the client is told, too"


@pytest.mark.parametrize("shows_chain", [True, False])
@pytest.mark.parametrize("named", ["root", "intermediate"])
def test_clients_of_an_intermediate_ca_are_served(named: str, shows_chain: bool, tmp_path: Path) -> None:
    root = trustme.CA()
    middle, other = root.create_child_ca(), root.create_child_ca()
    ca, server = tmp_path / "trusted.pem", Authority(tmp_path, "server-ca")
    ca.write_bytes(b"".join(each.cert_pem.bytes() for each in ((root, middle) if named == "root" else (middle,))))
    tls = ServerTls(TlsFiles(*server.issue("server"), str(ca)))

    def client(of: trustme.CA) -> ssl.SSLContext:
        made = of.issue_cert("me")
        file = tmp_path / "client.pem"
        file.write_bytes(made.private_key_pem.bytes() + b"".join(each.bytes() for each in made.cert_chain_pems[: 2 if shows_chain else 1]))
        context = server.client()
        context.load_cert_chain(file)
        return context

    assert shake(tls.context(), client(middle)).version() == "TLSv1.3"
    if named == "intermediate" or not shows_chain:
        with pytest.raises(HandshakeError):
            shake(tls.context(), client(other))


@pytest.mark.parametrize("key_type", [trustme.KeyType.RSA, trustme.KeyType.ECDSA, "ed25519"])
def test_every_usual_kind_of_key_is_used_with_its_chain(key_type: object, tmp_path: Path) -> None:
    root = trustme.CA()
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    if isinstance(key_type, trustme.KeyType):
        made = root.create_child_ca().issue_cert("localhost", key_type=key_type)
        cert.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        trusted = root.cert_pem.bytes()
    else:
        trusted = self_signed(cert, key)
    tls = ServerTls(TlsFiles(str(cert), str(key)))
    ca = tmp_path / "ca.pem"
    ca.write_bytes(trusted)
    assert shake(tls.context(), ClientTrust(ClientFiles(str(ca)), FIELDS).context()).version() == "TLSv1.3"


def self_signed(cert: Path, key: Path) -> bytes:
    """An Ed25519 certificate that is its own CA, in one file with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    secret, now = Ed25519PrivateKey.generate(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(secret.public_key()).serial_number(7)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False).sign(secret, None)
    )  # fmt: skip
    key.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    cert.write_bytes(key.read_bytes() + made.public_bytes(Encoding.PEM))
    return made.public_bytes(Encoding.PEM)


def test_a_folder_that_is_swapped_by_its_link_is_seen(tmp_path: Path) -> None:
    """As Kubernetes replaces a secret: `cert` -> `..data/cert`, `..data` -> a folder of the time."""
    authority, mount = Authority(tmp_path), tmp_path / "mount"
    mount.mkdir()

    def put(number: int) -> None:
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        for name, path in zip(("tls.crt", "tls.key"), authority.issue(f"server-{number}"), strict=True):
            Path(path).rename(folder / name)
        new = mount / "..data_tmp"
        new.symlink_to(folder)
        new.replace(mount / "..data")

    put(1)
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(f"..data/{name}")
    tls, client = ServerTls(TlsFiles(str(mount / "tls.crt"), str(mount / "tls.key"))), authority.client()
    before = serial(tls.context(), client)
    put(2)
    shutil.rmtree(tmp_path / "..1")
    tls.look()
    tls.look()
    assert serial(tls.context(), client) != before
    assert (tls.stats.reloads, tls.stats.reloads_failed) == (1, 0)


def test_a_key_that_comes_long_after_its_certificate_is_waited_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server")
    tls, client = ServerTls(TlsFiles(*pair)), authority.client()
    before, other = serial(tls.context(), client), authority.issue("other")
    Path(other.cert).replace(pair.cert)
    for _ in range(5):
        tls.look()
        assert serial(tls.context(), client) == before
    Path(pair.key).write_bytes(Path(other.key).read_bytes())  # in place: the inode stays
    tls.look()
    tls.look()
    assert serial(tls.context(), client) != before
    assert (tls.stats.reloads, tls.stats.reloads_failed) == (1, 1)


def test_a_new_certificate_while_a_handshake_is_under_way_does_not_break_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls, client = ServerTls(TlsFiles(*authority.issue("server"))), authority.client()
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    two = tls.context().wrap_bio(to_server, to_client, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        one.do_handshake()
    for _ in range(3):
        authority.issue("server")
        tls.reload()
    gc.collect()
    with pytest.raises(ssl.SSLWantReadError):
        two.do_handshake()
    one.do_handshake()
    two.do_handshake()
    assert one.version() == two.version() == "TLSv1.3"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("closed", [True, False])
def test_sessions_are_resumed_unless_a_certificate_is_asked_for(version: ssl.TLSVersion, closed: bool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tls = ServerTls(TlsFiles(*authority.issue("server"), authority.ca if closed else ""))
    client = authority.client(authority.issue("ours", "me"))
    client.minimum_version = client.maximum_version = version
    first = shake(tls.context(), client)
    assert shake(tls.context(), client, first.session).session_reused is not closed


def test_a_client_reads_its_files_when_they_change_and_names_what_is_wrong(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    tls = ServerTls(TlsFiles(*authority.issue("server")))
    client = ClientTrust(ClientFiles(other.ca), FIELDS)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        shake(tls.context(), client.context())
    assert "certificate" in words(caught.value)
    assert client.context() is client.context()
    Path(other.ca).write_bytes(Path(authority.ca).read_bytes())
    assert shake(tls.context(), client.context()).version() == "TLSv1.3"
    assert shake(tls.context(), ClientTrust(ClientFiles(verify=False), FIELDS).context()).version() == "TLSv1.3"
    for files, field in (
        (ClientFiles("/nowhere/ca.pem"), "ca_file"),
        (ClientFiles(__file__), "ca_file"),
        (ClientFiles(authority.ca, "/nowhere/cert.pem"), "cert_file"),
        (ClientFiles(authority.ca, authority.ca, "/nowhere/key.pem"), "key_file"),
        (ClientFiles(authority.ca, authority.ca), "cert_file"),
        (ClientFiles(authority.ca, "", authority.ca), "key_file"),
    ):
        with pytest.raises(InvalidError, match=field):
            ClientTrust(files, FIELDS).context()


def test_lines_that_strangers_cause_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    seldom = Seldom(logging.getLogger("tests.seldom"), clock)
    for number in range(100):
        seldom.warn("knock %d", number)
    assert len(caplog.records) == LINES_MAX_COUNT
    clock.now += 60
    seldom.warn("knock %d", 100)
    assert [record.getMessage() for record in caplog.records[LINES_MAX_COUNT:]] == [
        "90 more lines like the next one were left out", "knock 100"
    ]  # fmt: skip

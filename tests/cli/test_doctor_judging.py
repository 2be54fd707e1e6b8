"""What the doctor makes of what servers tell: figures at their limits, and clusters nobody wants to start for a test."""

import shlex

import pytest
from msgspec.structs import replace

from callboard import __version__
from callboard.cli.doctor import judging, naming
from callboard.cli.doctor.findings import Finding, Verdict, report
from callboard.cli.doctor.naming import Place, resolvers_of
from callboard.cli.doctor.surroundings import judge_variables
from callboard.client.settings import parse_base
from callboard.wire.native import ServiceList, ServiceSummary
from callboard.wire.native_server import Diagnosis, Dialled, MachineState, MemberList, MemberState, ServerStatus, StoreState

URL = "http://10.0.0.1:8500"
MIB = 1_048_576
STATUS = ServerStatus(
    member="m1", node="callboard", datacenter="dc1", version=__version__, ready=True, leader="m1", revision=1, services=0, instances=0,
    checks=0, nodes=1, store=StoreState(reachable=True, detail="", version="3.5.13", size_bytes=1, size_max_bytes=100),
)  # fmt: skip
MACHINE = MachineState(
    http=(URL,), https=(), dns="", dns_domain="consul", store="sqlite", store_durable=True, store_shared=False, value_max_bytes=1,
    group_max_rows=1, group_max_bytes=1, data="/var/lib/callboard", data_free_bytes=10_000 * MIB, data_total_bytes=20_000 * MIB,
    files_open=20, files_max=100_000, connections_max=70_000, certificate_expires_s=0,
)  # fmt: skip


def verdicts(findings: list[Finding], about: str) -> list[Verdict]:
    return [finding.verdict for finding in findings if finding.about == about]


def member(name: str, url: str, program: str = __version__) -> MemberState:
    return MemberState(name=name, url=url, level=2, program=program, started_ms=0, leading=False)


@pytest.mark.parametrize(("size", "verdict"), [(79, "passing"), (80, "warning"), (99, "warning"), (100, "critical")])
def test_a_store_that_fills_up(size: int, verdict: Verdict) -> None:
    store = StoreState(reachable=True, detail="", version="", size_bytes=size * MIB, size_max_bytes=100 * MIB)
    assert verdicts(list(judging.judge_status(replace(STATUS, store=store), URL)), "store") == [verdict]


def test_a_server_that_starts_or_is_cut_off() -> None:
    starting = list(judging.judge_status(replace(STATUS, ready=False, leader=""), URL))
    assert verdicts(starting, "catalog") == ["critical"]
    assert verdicts(starting, "leader") == [], "that it knows of no leader follows"
    cut_off = list(judging.judge_status(replace(STATUS, leader="", age_ms=9_000), URL))
    assert verdicts(cut_off, "leader") == ["critical"]
    assert [finding.what for finding in cut_off if finding.about == "age"] == ["answers may be 9 s old"]


@pytest.mark.parametrize(
    ("free", "total", "verdict"), [(10_000, 20_000, "passing"), (900, 20_000, "warning"), (63, 64, "critical"), (0, 20_000, "critical")]
)
def test_a_disk_that_fills_up(free: int, total: int, verdict: Verdict) -> None:
    machine = replace(MACHINE, data_free_bytes=free * MIB, data_total_bytes=total * MIB)
    told = Diagnosis(member="m1", version=__version__, level=2, time_ms=0, machine=machine)
    assert verdicts(list(judging.judge_diagnosis(told, URL)), "disk") == [verdict]


@pytest.mark.parametrize(
    ("taken", "limit", "verdict"), [(20, 4_096, "passing"), (20, 4_095, "warning"), (20, 511, "critical"), (81_000, 100_000, "critical")]
)
def test_files(taken: int, limit: int, verdict: Verdict) -> None:
    told = Diagnosis(member="m1", version="", level=2, time_ms=0, machine=replace(MACHINE, files_open=taken, files_max=limit))
    assert verdicts(list(judging.judge_diagnosis(told, URL)), "files") == [verdict]


def test_what_nobody_tells_is_not_judged() -> None:
    machine = replace(MACHINE, data_total_bytes=0, files_max=0)
    found = list(judging.judge_diagnosis(Diagnosis(member="m1", version="", level=2, time_ms=0, machine=machine), URL))
    assert {finding.about for finding in found} == {"limits"}
    assert list(judging.judge_diagnosis(Diagnosis(member="m1", version="", level=2, time_ms=0), URL)) == []


def test_an_address_that_only_its_own_machine_knows() -> None:
    members = MemberList(
        members=(member("m1", URL), member("m2", "http://127.0.0.1:8500"), member("m3", "http://10.0.0.3:8500")), leader="m1"
    )
    found = list(judging.judge_members(members, {URL: "", "http://10.0.0.3:8500": "no route to host"}, URL))
    assert [(finding.verdict, finding.what.partition(" ")[0]) for finding in found] == [("warning", "m2"), ("warning", "m3")]
    assert "no route to host" in found[1].what
    alone = MemberList(members=(member("m1", "http://127.0.0.1:8500"),), leader="m1")
    assert list(judging.judge_members(alone, {}, URL)) == []


def test_an_upgrade_half_way() -> None:
    members = MemberList(members=(member("m1", URL), member("m2", "http://10.0.0.2:8500", "0.0.9")), leader="m1")
    found = judging.judge_version(STATUS, members, URL)
    assert (found.verdict, found.what) == ("warning", f"the servers are of different versions: 0.0.9, {__version__}")
    older = judging.judge_version(replace(STATUS, version="0.0.1"), None, URL)
    assert older.cause == "the server was not upgraded"
    assert __version__ in older.mend


def test_the_weightiest_comes_first_and_the_others_stay_in_order() -> None:
    verdict: tuple[Verdict, ...] = ("passing", "warning", "critical", "warning", "critical")
    found = report((URL,), [Finding(str(number), each, "") for number, each in enumerate(verdict)])
    assert ([finding.about for finding in found.findings], found.verdict) == (["2", "4", "1", "3", "0"], "critical")


@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "127.0.0.0/8", "example.org, 127.0.0.1"])
def test_a_proxy_that_leaves_the_server_alone(exempt: str) -> None:
    said = {"HTTP_PROXY": "http://proxy:3128", "HTTPS_PROXY": "http://proxy:3128", "no_proxy": exempt}
    assert [finding.verdict for finding in judge_variables(said, [parse_base("http://127.0.0.1:8500")])] == ["passing"]


def test_a_proxy_for_another_scheme_and_one_for_all() -> None:
    bases = [parse_base("http://callboard.example.org:8500")]
    assert judge_variables({"HTTPS_PROXY": "http://proxy:3128"}, bases)[0].verdict == "passing"
    assert judge_variables({"ALL_PROXY": "http://proxy:3128"}, bases)[0].verdict == "warning"
    assert judge_variables({"ALL_PROXY": "http://proxy:3128", "NO_PROXY": ".example.org"}, bases)[0].verdict == "passing"


def test_two_spellings_of_one_address_are_no_contradiction() -> None:
    said = {"CALLBOARD_URL": "http://127.0.0.1:8500/", "CONSUL_HTTP_ADDR": "http://localhost:8500"}
    assert judge_variables(said, [])[0].verdict == "passing"
    assert judge_variables({**said, "CONSUL_HTTP_ADDR": "http://[broken"}, [])[0].verdict == "warning"


def test_name_servers_of_the_machine() -> None:
    text = "# made by hand\nnameserver 127.0.0.53\nsearch example.org\nnameserver 2001:db8::1\nnameserver\n"
    assert resolvers_of(text) == (Place("127.0.0.53", 53), Place("2001:db8::1", 53))


def test_a_server_that_is_asked_from_elsewhere_and_advertised_as_loopback() -> None:
    told = Diagnosis(member="m1", version="", level=2, time_ms=0, advertised=Dialled("127.0.0.1:8500", reachable=True))
    (found,) = judging.judge_diagnosis(told, URL)
    assert (found.verdict, found.mend) == ("warning", "callboard serve --advertise 10.0.0.1")
    (found,) = judging.judge_diagnosis(told, "http://localhost:8500")
    assert found.verdict == "passing"


EVIL = "x; touch /tmp/x $(id) `id` 'y"


def test_what_servers_and_services_say_cannot_leave_its_place_in_a_command() -> None:
    one = ServiceSummary(
        name=EVIL, namespace="public", tags=(), instances=3, passing=0, warning=0, critical=1, maintenance=0, draining=1
    )  # fmt: skip
    down = replace(one, critical=3, draining=0)
    told = Diagnosis(member="m1", version="", level=2, time_ms=0, machine=replace(MACHINE, data=EVIL, data_free_bytes=0))
    found = [
        *judging.judge_services(ServiceList((one,), 1), {}, URL),
        *judging.judge_services(ServiceList((down,), 1), {}, URL),
        judging.judge_version(replace(STATUS, version=f"99.{EVIL}"), None, URL),
        *judging.judge_diagnosis(told, URL),
        *naming.look("127.0.0.1:1", EVIL.replace(" ", ""), "127.0.0.1", (), URL),
    ]
    mends = [finding.mend for finding in found if "touch" in finding.mend]
    assert len(mends) == 7
    for mend in mends:
        command = mend.partition("   (")[0]
        words = shlex.split(command)
        assert sum("touch" in word for word in words) == 1, f"{command} has it in one word"

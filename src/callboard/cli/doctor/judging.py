"""From what servers tell about themselves to findings. Pure: facts in, findings out.

What stands in a command comes from servers and from whoever registers there: it is quoted, for people paste commands.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from shlex import quote
from typing import Final
from urllib.parse import urlsplit

from callboard import __version__
from callboard.cli.doctor.findings import Finding, well
from callboard.core.callers import is_loopback
from callboard.model.check import Status
from callboard.model.members import LEVEL
from callboard.wire.native import InstanceState, ServiceList
from callboard.wire.native_server import Diagnosis, Dialled, MachineState, MemberList, ServerStatus

_MIB: Final = 1_048_576
DISK_CRITICAL_BYTES: Final = 64 * _MIB
DISK_WARN_SHARE: Final = 0.05
STORE_WARN_SHARE: Final = 0.8
FILES_WARN_COUNT: Final = 4_096
FILES_CRITICAL_COUNT: Final = 512
FILES_WARN_SHARE: Final = 0.8
AGE_WARN_MS: Final = 2_000
_NAMED_MAX_COUNT: Final = 5
_OUTPUT_MAX_CHARS: Final = 200


def judge_status(status: ServerStatus, url: str) -> Iterator[Finding]:
    """Store, leader, and how old the answers are: in this order, for each follows from the one before."""
    store = status.store
    if store is not None and not store.reachable:
        yield Finding(
            "store",
            "critical",
            "the server cannot reach its store",
            store.detail or "its store does not answer",
            "bring the store back, or the network to it; the server takes it up again by itself (etcdctl --endpoints=... endpoint health)",
            url,
        )
    elif store is not None and store.detail:
        yield Finding("store", "warning", "something is wrong with the store", store.detail, "callboard status -o json", url)
    elif store is not None:
        yield from _sizes(store.size_bytes, store.size_max_bytes, url)
    if not status.ready:
        yield Finding(
            "catalog",
            "critical",
            "the server is not ready: it has not read its store yet",
            "it was just started, or cannot read the store",
            "its log says why; wait for: curl -f " + url + "/ready",
            url,
        )
    elif not status.leader:
        yield Finding(
            "leader",
            "critical",
            "no server leads: reads are answered, writes are refused",
            "this server is cut off from the store or from the others, or the last leader died just now (an election takes seconds)",
            "callboard members --url URL   (ask each server: one that knows of a leader shows who is cut off)",
            url,
        )
    else:
        yield well("leader", f"{status.leader} leads", url)
    if status.age_ms > AGE_WARN_MS:
        yield Finding(
            "age",
            "warning",
            f"answers may be {status.age_ms / 1000:.0f} s old",
            "this server is out of touch with the leader",
            "mend the network between the servers (callboard_peer_unreachable_total counts); clients may ask another one meanwhile",
            url,
        )


def _sizes(size: int, limit: int, url: str) -> Iterator[Finding]:
    if limit and size >= STORE_WARN_SHARE * limit:
        full = size >= limit
        yield Finding(
            "store",
            "critical" if full else "warning",
            f"the store holds {size // _MIB} of {limit // _MIB} MiB",
            "whatever adds is refused" if full else "what adds is refused when it is full",
            "remove what is not needed; etcd: compact, etcdctl defrag, or raise --quota-backend-bytes and tune.etcd.database_max_bytes",
            url,
        )
    else:
        yield well("store", "the store is reachable" + (f", {size // _MIB} of {limit // _MIB} MiB" if limit else ""), url)


def judge_version(status: ServerStatus, members: MemberList | None, url: str) -> Finding:
    """This program against the server, and the servers against each other."""
    programs = sorted({member.program for member in members.members}) if members is not None else []
    if len(programs) > 1:
        return Finding(
            "version",
            "warning",
            f"the servers are of different versions: {', '.join(programs)}",
            "an upgrade is under way, or was forgotten half way",
            "pip install --upgrade 'callboard[server]' and restart those that are older: callboard members",
            url,
        )
    if status.version != __version__:
        older = "this program" if _parts(__version__) < _parts(status.version) else "the server"
        return Finding(
            "version",
            "warning",
            f"this program is Callboard {__version__}, the server {status.version}",
            f"{older} was not upgraded",
            "pip install " + quote(f"callboard=={status.version}")
            if older == "this program"
            else f"on the server: pip install 'callboard[server]=={__version__}'",
            url,
        )
    return well("version", f"{__version__} on both sides, level {LEVEL}", url)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def judge_members(members: MemberList, reached: Mapping[str, str], url: str) -> Iterator[Finding]:
    """`reached` says of each member's URL why it cannot be reached from here; empty when it can."""
    several = len(members.members) > 1
    for member in members.members:
        if several and is_loopback(urlsplit(member.url).hostname or ""):
            yield Finding(
                "advertised",
                "warning",
                f"{member.name} tells the others to reach it at {member.url}",
                "that is loopback: each machine's own",
                f"on {member.name}: callboard serve --advertise ADDRESS-OF-THIS-MACHINE   (right only where all servers share one machine)",
                url,
            )
        elif reached.get(member.url):
            yield Finding(
                "advertised",
                "warning",
                f"{member.name} is not reached from here at {member.url}: {reached[member.url]}",
                "a firewall or a route is between, or the address is one that only the servers' network knows",
                f"on {member.name}: callboard serve --advertise ADDRESS   (or let the port through)",
                url,
            )


def judge_diagnosis(told: Diagnosis, url: str) -> Iterator[Finding]:
    """What the server sees of itself and of the caller."""
    if told.advertised is not None:
        yield _advertised(told.advertised, urlsplit(url).hostname or "", url)
    if told.caller is not None:
        yield _caller(told.caller, url)
    if told.machine is not None:
        yield from _machine(told.machine, url)


def _advertised(own: Dialled, asked_host: str, url: str) -> Finding:
    """A server that is asked from elsewhere is used from elsewhere: then loopback leads everybody to their own machine."""
    if is_loopback(own.address.rpartition(":")[0]) and not is_loopback(asked_host):
        return Finding(
            "advertised",
            "warning",
            f"the server tells everybody that it is at {own.address}, which is loopback: each machine's own",
            "it was started without --advertise: DNS and other servers give that address for its node",
            f"callboard serve --advertise {asked_host}",
            url,
        )
    if own.reachable:
        return well("advertised", f"the server reaches itself at {own.address}, where it is advertised", url)
    return Finding(
        "advertised",
        "critical",
        f"the server is advertised at {own.address}, and cannot reach itself there: {own.detail}",
        "the address is another machine's, the server does not listen at it, or a firewall drops it; and it is told to everybody",
        "callboard serve --advertise ADDRESS-OF-THIS-MACHINE --http 0.0.0.0:PORT   (addresses: ip -brief address)",
        url,
    )


def _caller(caller: Dialled, url: str) -> Finding:
    if caller.reachable:
        return well("caller", f"the server reaches this machine at {caller.address}", url)
    return Finding(
        "caller",
        "critical",
        f"the server cannot reach this machine at {caller.address}: {caller.detail}",
        "the program listens on loopback only or not at all, or a firewall is between: its checks will be critical",
        f"let the program listen at 0.0.0.0 and the port through   (who listens: ss -ltn 'sport = :{caller.address.rpartition(':')[2]}')",
        url,
    )


def _machine(machine: MachineState, url: str) -> Iterator[Finding]:
    kept = "kept on disk" if machine.store_durable else "in memory"
    shared = ", shared by several servers" if machine.store_shared and machine.store_durable else ""
    groups = f"groups up to {machine.group_max_rows:,} rows and {machine.group_max_bytes:,} bytes"
    room = f"values up to {machine.value_max_bytes:,} bytes, {groups}"
    if machine.store_durable:
        yield well("limits", f"{machine.store}: {kept}{shared}; {room}", url)
    else:
        yield Finding(
            "limits",
            "passing",
            f"{machine.store}: {kept}, everything is forgotten when the server ends; {room}",
            "it was started with --dev or --store memory:",
            "callboard serve --data DIR   (if it is to stay)",
            url,
        )
    yield from _disk(machine, url)
    yield from _files(machine, url)


def _disk(machine: MachineState, url: str) -> Iterator[Finding]:
    free, total = machine.data_free_bytes, machine.data_total_bytes
    if not total:
        return
    left = f"{free // _MIB:,} of {total // _MIB:,} MiB are free on the disk of {machine.data}"
    if free < DISK_CRITICAL_BYTES or free < DISK_WARN_SHARE * total:
        yield Finding(
            "disk",
            "critical" if free < DISK_CRITICAL_BYTES else "warning",
            left,
            "when it is full, whatever adds is refused (507); removals still pass",
            f"du -xh --max-depth=2 {quote(machine.data)} | sort -h | tail   (free space there, or move --data to a larger disk)",
            url,
        )
    else:
        yield well("disk", left, url)


def _files(machine: MachineState, url: str) -> Iterator[Finding]:
    limit, taken = machine.files_max, machine.files_open
    if not limit:
        return
    seen = f"{taken:,} of {limit:,} files are open, {machine.connections_max:,} HTTP connections may be"
    if limit < FILES_WARN_COUNT or taken > FILES_WARN_SHARE * limit:
        yield Finding(
            "files",
            "critical" if limit < FILES_CRITICAL_COUNT or taken > FILES_WARN_SHARE * limit else "warning",
            seen,
            "each connection, waiting reader and probe is an open file, and the system allows the server only so many",
            "ulimit -n 1048576   (before callboard serve; with systemd: LimitNOFILE=1048576)",
            url,
        )
    else:
        yield well("files", seen, url)


def judge_services(services: ServiceList, reasons: Mapping[str, str], url: str) -> Iterator[Finding]:
    """Services nobody can call, and instances that are on their way out. `reasons`: why, by service."""
    down = [one for one in services.services if one.instances and one.critical + one.maintenance + one.draining >= one.instances]
    partly = [one for one in services.services if one.critical and one not in down]
    if down:
        yield Finding(
            "services",
            "warning",
            f"nobody can be called as {_names([one.name for one in down])}",
            reasons.get(down[0].name) or "every instance is critical, in maintenance or draining",
            f"callboard instances {quote(down[0].name)} -o wide   (it shows the checks)",
            url,
        )
    if partly:
        count = sum(one.critical for one in partly)
        yield Finding(
            "services",
            "warning",
            f"{_instances(count)} of {_names([one.name for one in partly])} {_are(count)} critical",
            reasons.get(partly[0].name) or "their checks failed, or their heartbeats do not come",
            f"callboard instances {quote(partly[0].name)} -o wide   (it shows the checks)",
            url,
        )
    draining = [one for one in services.services if one.draining and one not in down]
    if draining:
        count = sum(one.draining for one in draining)
        yield Finding(
            "services",
            "warning",
            f"{_instances(count)} of {_names([one.name for one in draining])} {_are(count)} draining",
            "they were hidden from new callers and have not left",
            f"callboard instances {quote(draining[0].name)}   (back: callboard drain ID --off)",
            url,
        )
    if not (down or partly or draining):
        count = len(services.services)
        yield well("services", f"{count} service{'' if count == 1 else 's'}, all instances are well", url)


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def reason_of(instances: Iterable[InstanceState]) -> str:
    """Why one of them is critical: the first check that says so; empty when none does."""
    for instance in instances:
        for check in instance.checks:
            if check.status is Status.CRITICAL:
                said = check.output.partition("\n")[0][:_OUTPUT_MAX_CHARS]
                why = said or ("no heartbeat came in time" if check.kind == "ttl" else "it has not passed yet")
                return f"{check.id} of {instance.id}: {why}"
    return ""


def _names(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED_MAX_COUNT
    return ", ".join(names[:_NAMED_MAX_COUNT]) + (f" and {rest} more" if rest > 0 else "")

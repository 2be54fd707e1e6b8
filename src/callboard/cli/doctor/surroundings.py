"""What the environment of this machine says that keeps commands and programs from the server. Pure: the environment is an argument."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Final

from callboard.cli.doctor.findings import Finding, well
from callboard.client.settings import CONSUL_VARIABLE, URL_VARIABLE, Base, servers_of
from callboard.model.errors import InvalidError

_PROXIES: Final = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def judge_variables(environment: Mapping[str, str], asked: Sequence[Base]) -> list[Finding]:
    """Variables that say two things, and proxies that stand between."""
    return [*_addresses(environment), *_proxies(environment, asked)] or [well("environment", "no variable contradicts another")]


def _addresses(environment: Mapping[str, str]) -> list[Finding]:
    ours, consuls = environment.get(URL_VARIABLE, ""), environment.get(CONSUL_VARIABLE, "")
    if not ours or not consuls:
        return []
    try:
        other = servers_of({name: value for name, value in environment.items() if name != URL_VARIABLE})
        if {_place(url) for url in other} == {_place(url) for url in servers_of(environment)}:
            return []
    except InvalidError:
        pass  # one that cannot be read is another one
    return [
        Finding(
            "environment",
            "warning",
            f"{URL_VARIABLE} is {ours} and {CONSUL_VARIABLE} is {consuls}",
            "Callboard's commands and SDK ask the first, Consul's clients the second: they may see two different catalogs",
            f"unset {URL_VARIABLE}   (or: export {CONSUL_VARIABLE}={ours.partition(',')[0]})",
        )
    ]


def _place(url: str) -> str:
    return url.rpartition("://")[2].rstrip("/").replace("localhost", "127.0.0.1")


def _proxies(environment: Mapping[str, str], asked: Sequence[Base]) -> list[Finding]:
    found = []
    exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    for variable in _PROXIES:
        proxy = environment.get(variable, "")
        caught = sorted({base.host for base in asked if proxy and _is_for(variable, base) and not _is_exempt(base.host, exempt)})
        if caught:
            found.append(
                Finding(
                    "environment",
                    "warning",
                    f"{variable} sends programs that ask {', '.join(caught)} to a proxy, {_without_user(proxy)}",
                    "curl, requests, httpx and many others obey it; Callboard's own commands and SDK do not. A proxy elsewhere cannot reach"
                    " this machine's loopback, and cuts off blocking queries",
                    f"export NO_PROXY={','.join(filter(None, (exempt, *caught)))} no_proxy={','.join(filter(None, (exempt, *caught)))}",
                )
            )
    return found[:1]


def _is_for(variable: str, base: Base) -> bool:
    scheme = variable.lower().partition("_")[0]
    return scheme == "all" or (scheme == "https") is base.secure


def _is_exempt(host: str, exempt: str) -> bool:
    """As most programs read the list: names, `.suffixes`, addresses, networks, `*`."""
    for entry in (part.strip().lower() for part in exempt.split(",")):
        if entry == "*" or (entry and (host.lower() == entry.lstrip(".") or host.lower().endswith("." + entry.lstrip(".")))):
            return True
        try:
            if entry and ip_address(host) in ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def _without_user(proxy: str) -> str:
    """A password may stand before the `@`."""
    scheme, slashes, rest = proxy.rpartition("://")
    return scheme + slashes + rest.rpartition("@")[2]

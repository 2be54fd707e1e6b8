"""Which addresses are IP addresses, and the names Consul's agent gives them. Pure; called for every instance that is shown."""

import re
from ipaddress import ip_address
from typing import Final

_IPV4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!$)|$)){4}")


def ip_version(address: str) -> int:
    """4 or 6; 0 for a host name or nothing."""
    if ":" not in address:
        return 4 if _IPV4.fullmatch(address) else 0
    try:
        return ip_address(address).version
    except ValueError:
        return 0


def node_addresses(address: str) -> dict[str, str]:
    """What an agent says of its own node."""
    version = ip_version(address)
    labels = ("lan", f"lan_ipv{version}", "wan", f"wan_ipv{version}") if version else ("lan", "wan")
    return dict.fromkeys(labels, address)

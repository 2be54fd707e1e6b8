"""The table of frontends. To add a protocol, write its folder and add its line here."""

from typing import Any, Final

from callboard.frontend.base import Plugin
from callboard.frontend.console.plugin import PLUGIN as CONSOLE
from callboard.frontend.consul.plugin import PLUGIN as CONSUL
from callboard.frontend.dns.plugin import PLUGIN as DNS
from callboard.frontend.native.plugin import PLUGIN as NATIVE
from callboard.frontend.peer.plugin import PLUGIN as PEER
from callboard.frontend.prometheus.plugin import PLUGIN as PROMETHEUS

FRONTENDS: Final[tuple[Plugin[Any], ...]] = (
    CONSOLE,
    CONSUL,
    DNS,
    NATIVE,
    PEER,
    PROMETHEUS,
)

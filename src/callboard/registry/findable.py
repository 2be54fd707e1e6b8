"""Names of services that DNS cannot say: taken like any other, and told to whoever reads the log. For all doors through which they come."""

import logging

from callboard.core.catalog.view import View
from callboard.model.names import unfit_for_dns
from callboard.net.seldom import Seldom

_log = logging.getLogger(__name__)


class NameWarnings:
    """What one door has said about names. Lives as long as the door."""

    def __init__(self) -> None:
        self._seldom = Seldom(_log)

    def look_at(self, view: View, namespace: str, service: str) -> None:
        """Log why DNS will never find a service that is about to be there; once, for those that sign in again are known already."""
        if (problem := unfit_for_dns(service)) and not view.of_service(namespace, service):
            self._seldom.warn("service %r cannot be found over DNS: %s", service, problem)

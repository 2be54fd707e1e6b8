"""Callboard's own API as a backend: the reading half; the writing one is `signing`."""

from collections.abc import Callable

from callboard.client import reaching
from callboard.client.client import Client
from callboard.client.errors import ClientError
from callboard.client.settings import ClientSettings
from callboard.client.signing import NativeSigning
from callboard.client.watch import Watch
from callboard.wire.native import Digest, ServiceInstances, ServiceList


class NativeBackend(NativeSigning):
    """`/api/v1`."""

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._client = Client(settings)

    def services(self, namespace: str) -> ServiceList:
        """`GET /api/v1/services`."""
        return self._client.services(namespace=namespace)

    def instances(self, service: str, namespace: str) -> ServiceInstances:
        """`GET /api/v1/services/<name>`."""
        return self._client.instances(service, namespace=namespace)

    def follow(self, namespace: str, services: tuple[str, ...], lost: Callable[[ClientError], None]) -> Watch:
        """One stream for all of them."""
        return Watch(self._settings, services, namespace, lost, patient=True)

    def digest(self, namespace: str, services: tuple[str, ...]) -> Digest | None:
        """`GET /api/v1/digest`."""
        return self._client.digest(services, namespace=namespace)

    def local_address(self) -> str:
        """Opens and closes a connection."""
        return reaching.local_address(self._settings)

    @property
    def remote(self) -> bool:
        """By the names in the URLs."""
        return reaching.is_remote(self._settings)

    def forked(self) -> None:
        """The transports look at the process id themselves."""

    def close(self) -> None:
        """Close the idle connections."""
        super().close()
        self._client.close()

"""What the etcd store counts. Lives as long as the store; its parts write into it, the metrics page reads it."""

from dataclasses import dataclass


@dataclass(slots=True)
class EtcdStats:
    """Figures for the metrics page: how often since the start, and the size as last seen."""

    groups: int = 0
    rows: int = 0
    fenced_reads: int = 0
    refused: int = 0
    indeterminate: int = 0
    stages: int = 0
    merges: int = 0
    loads: int = 0
    searches: int = 0
    feed_restarts: int = 0
    failovers: int = 0
    renewals: int = 0
    renewal_failures: int = 0
    renewals_held: int = 0
    compactions: int = 0
    database_bytes: int = 0

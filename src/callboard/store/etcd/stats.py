"""What the etcd store counts. Lives as long as the store; its parts write into it, the metrics page reads it."""

from dataclasses import dataclass


@dataclass(slots=True)
class EtcdStats:
    """Figures for the metrics page: how often since the start, and the size as last seen."""

    groups: int = 0
    """Groups that were written."""
    rows: int = 0
    """Rows of these groups."""
    fenced_reads: int = 0
    """Groups without rows, which only prove the lead."""
    refused: int = 0
    """Groups that were surely not written."""
    indeterminate: int = 0
    """Groups of which it was not known for a while whether they were written."""
    stages: int = 0
    """Groups that were larger than one transaction and written in parts."""
    merges: int = 0
    """Groups in parts that were put together."""
    loads: int = 0
    """Times every row was read."""
    searches: int = 0
    """Times a watch began, and looked for where to go on."""
    feed_restarts: int = 0
    """Times a watch ended and was begun again."""
    failovers: int = 0
    """Times the next endpoint was taken, because one did not answer."""
    renewals: int = 0
    """Leases that were renewed."""
    renewal_failures: int = 0
    """Renewals that failed, and are tried again."""
    renewals_held: int = 0
    """Renewals that waited, because the event loop of this process stood still."""
    compactions: int = 0
    """Times old revisions were given up."""
    database_bytes: int = 0
    """Size of the database as last seen."""

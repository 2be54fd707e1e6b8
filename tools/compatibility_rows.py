"""Every endpoint of Consul's HTTP API (1.22), by subject: method, path, and what this server does otherwise.

A line is `METHODS PATH`, then, after `|`, the parameters that are accepted and ignored, and after a second `|` a remark. A part of a path
that begins with `:` is the caller's. Whether a line is built is not said here: that is what the route table says.
"""

from typing import Final, NamedTuple

_TABLE: Final = """
# Agent
GET /v1/agent/self
GET /v1/agent/version
GET /v1/agent/host
GET /v1/agent/members
GET /v1/agent/services
GET /v1/agent/service/:id
PUT /v1/agent/service/register
PUT /v1/agent/service/deregister/:id
PUT /v1/agent/service/maintenance/:id
GET /v1/agent/checks
PUT /v1/agent/check/register
PUT /v1/agent/check/deregister/:id
PUT /v1/agent/check/pass/:id
PUT /v1/agent/check/warn/:id
PUT /v1/agent/check/fail/:id
PUT /v1/agent/check/update/:id
GET /v1/agent/health/service/id/:id
GET /v1/agent/health/service/name/:name
PUT /v1/agent/maintenance
GET /v1/agent/metrics || counters since the start, not of an interval
GET /v1/agent/metrics/stream
GET /v1/agent/monitor
PUT /v1/agent/reload
PUT /v1/agent/join/:address | wan | members find each other through their store
PUT /v1/agent/leave || from loopback only, unless it is set otherwise
PUT /v1/agent/force-leave/:node | prune | a node that is alive stays
PUT /v1/agent/token/:kind || 401: no access control
POST /v1/agent/connect/authorize
GET /v1/agent/connect/ca/roots
GET /v1/agent/connect/ca/leaf/:service

# Catalog
PUT /v1/catalog/register
PUT /v1/catalog/deregister
GET /v1/catalog/datacenters
GET /v1/catalog/nodes
GET /v1/catalog/services
GET /v1/catalog/service/:service
GET /v1/catalog/connect/:service
GET /v1/catalog/node/:node
GET /v1/catalog/node-services/:node
GET /v1/catalog/gateway-services/:gateway

# Health
GET /v1/health/node/:node
GET /v1/health/checks/:service
GET /v1/health/state/:state
GET /v1/health/service/:service
GET /v1/health/connect/:service
GET /v1/health/ingress/:service

# Status
GET /v1/status/leader
GET /v1/status/peers

# Events
PUT /v1/event/fire/:name || the filters are kept and shown
GET /v1/event/list

# Coordinates
GET /v1/coordinate/datacenters
GET /v1/coordinate/nodes
GET /v1/coordinate/node/:node
PUT /v1/coordinate/update

# Operator
GET /v1/operator/raft/configuration
DELETE /v1/operator/raft/peer || 500: who is gone is no peer any more
POST /v1/operator/raft/transfer-leader
GET /v1/operator/keyring | relay-factor, local-only | no keys: there is no gossip
POST PUT DELETE /v1/operator/keyring || 500: there is no gossip
GET /v1/operator/usage | global
GET /v1/operator/utilization
GET PUT /v1/operator/autopilot/configuration || kept and shown; the store decides who is a member
GET /v1/operator/autopilot/health
GET /v1/operator/autopilot/state

# Snapshots
GET PUT /v1/snapshot || `state.bin` is our own backup

# Key/value store
GET PUT DELETE /v1/kv/:key

# Sessions
PUT /v1/session/create
PUT /v1/session/destroy/:id
PUT /v1/session/renew/:id
GET /v1/session/info/:id
GET /v1/session/node/:node
GET /v1/session/list

# Transactions
PUT /v1/txn

# Prepared queries
GET POST /v1/query
GET PUT DELETE /v1/query/:id
GET /v1/query/:id/execute
GET /v1/query/:id/explain

# Config entries
PUT /v1/config
GET /v1/config/:kind
GET DELETE /v1/config/:kind/:name
GET POST /v1/discovery-chain/:service
GET /v1/exported-services

# Connect
GET PUT /v1/connect/ca/configuration
GET /v1/connect/ca/roots
GET POST /v1/connect/intentions
GET /v1/connect/intentions/match
GET /v1/connect/intentions/check
GET PUT DELETE /v1/connect/intentions/exact
GET PUT DELETE /v1/connect/intentions/:id

# Access control
PUT /v1/acl/bootstrap
POST /v1/acl/login
POST /v1/acl/logout
GET /v1/acl/replication
GET /v1/acl/policies
PUT /v1/acl/policy
GET PUT DELETE /v1/acl/policy/:id
GET /v1/acl/policy/name/:name
GET /v1/acl/roles
PUT /v1/acl/role
GET PUT DELETE /v1/acl/role/:id
GET /v1/acl/role/name/:name
GET /v1/acl/binding-rules
PUT /v1/acl/binding-rule
GET PUT DELETE /v1/acl/binding-rule/:id
GET /v1/acl/auth-methods
PUT /v1/acl/auth-method
GET PUT DELETE /v1/acl/auth-method/:name
GET /v1/acl/tokens
PUT /v1/acl/token
GET /v1/acl/token/self
GET PUT DELETE /v1/acl/token/:id
GET /v1/acl/templated-policies
GET /v1/acl/templated-policy/name/:name
POST /v1/acl/templated-policy/preview/:name

# Peering
POST /v1/peering/token
POST /v1/peering/establish
GET DELETE /v1/peering/:name
GET /v1/peerings

# Internal
GET /v1/internal/ui/nodes
GET /v1/internal/ui/node/:node
GET /v1/internal/ui/services
GET /v1/internal/ui/exported-services
GET /v1/internal/ui/catalog-overview
GET /v1/internal/ui/gateway-services-nodes/:gateway
GET /v1/internal/ui/gateway-intentions/:gateway
GET /v1/internal/ui/service-topology/:service
GET /v1/internal/ui/metrics-proxy/:path
GET /v1/internal/federation-states
GET /v1/internal/federation-states/mesh-gateways
GET /v1/internal/federation-state/:datacenter
POST /v1/internal/acl/authorize
PUT /v1/internal/service-virtual-ip
"""


class Row(NamedTuple):
    """One method of one endpoint."""

    subject: str
    method: str
    path: str
    ignored: str
    remark: str

    @property
    def example(self) -> str:
        """A path that a caller may send."""
        return "/".join("x" if part.startswith(":") else part for part in self.path.split("/"))


def rows() -> list[Row]:
    """Every line of the table, one for each method."""
    out: list[Row] = []
    subject = ""
    for line in _TABLE.splitlines():
        if line.startswith("# "):
            subject = line.removeprefix("# ")
        elif line:
            words, ignored, remark = (part.strip() for part in f"{line}||".split("|")[:3])
            *methods, path = words.split()
            out += [Row(subject, method, path, ignored, remark) for method in methods]
    return out

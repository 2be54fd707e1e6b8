"""Balanced calls for grpc.aio: `BalancedChannel(board, "orders")` is a channel for stubs, and picks an instance for each call.

gRPC for Python lets nobody plug in a resolver or a balancer, so this is a channel above channels: one to each instance that is called,
opened when it is first picked, closed when the registry no longer names it and its last call ended.
"""

from callboard.integrations.base.needs import needs

with needs("grpc"):
    from callboard.integrations.grpc.channel import BalancedChannel

__all__ = ["BalancedChannel"]

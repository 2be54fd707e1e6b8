"""Calls a gRPC service, each call at one of its instances."""

import asyncio

from callboard import aio
from callboard.integrations.grpc import BalancedChannel


async def main() -> None:
    async with (
        aio.connect() as board,
        BalancedChannel(board, "greeter", idempotent={"/demo.Greeter/Greet"}, policy="smooth_wrr") as channel,
    ):
        greet = channel.unary_unary("/demo.Greeter/Greet")  # or GreeterStub(channel).Greet
        for _ in range(4):
            print((await greet(b"hello", timeout=2.0)).decode())


asyncio.run(main())

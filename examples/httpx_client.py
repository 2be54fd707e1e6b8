"""Calls a service through httpx; the same with `callboard.integrations.httpx2` for httpx2."""

import asyncio

from callboard import aio
from callboard.integrations.httpx import async_client


async def main() -> None:
    async with (
        aio.connect() as board,
        async_client(board, services={"orders": {"version": "^2", "policy": "smooth_wrr"}}, timeout=2.0) as http,
    ):
        for _ in range(4):
            answer = await http.get("svc://orders/items/7")
            print(answer.text)


asyncio.run(main())

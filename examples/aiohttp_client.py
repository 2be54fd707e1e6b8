"""Calls a service through aiohttp."""

import asyncio

from callboard import aio
from callboard.integrations.aiohttp import session


async def main() -> None:
    async with aio.connect() as board, session(board, services={"orders": {"version": "^2", "policy": "smooth_wrr"}}) as http:
        for _ in range(4):
            async with http.get("http://orders.svc/items/7") as answer:
                print(await answer.text())


asyncio.run(main())

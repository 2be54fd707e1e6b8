"""The same for ASGI: gunicorn --config gunicorn.conf.py --worker-class uvicorn_worker.UvicornWorker asgi_app:app"""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]


async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    if scope["type"] != "http":
        raise ValueError("only HTTP")  # how an application says that it has no lifespan
    if scope["path"] == "/slow":
        await asyncio.sleep(float(parse_qs(scope["query_string"].decode()).get("seconds", ["1"])[0]))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": f"{os.getpid()}\n".encode()})

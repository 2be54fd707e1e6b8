"""A FastAPI service that is found while it serves. PORT=8000 uvicorn fastapi_app:app --port 8000"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI

from callboard.integrations.fastapi import CallboardMiddleware, Service, lifespan, service


@asynccontextmanager
async def database(app: FastAPI) -> AsyncIterator[None]:
    """Your own lifespan: open before the service is found, closed after it has left."""
    print("database opened", flush=True)
    yield
    print("database closed", flush=True)


app = FastAPI(lifespan=lifespan("orders", version="1.4.0", ready="/ready", inner=database))
app.add_middleware(CallboardMiddleware, health_path="/health", ready_path="/ready")


@app.get("/")
async def index() -> dict[str, int]:
    return {"pid": os.getpid()}


@app.get("/slow")
async def slow(seconds: float = 1.0) -> dict[str, int]:
    await asyncio.sleep(seconds)
    return {"pid": os.getpid()}


@app.get("/next")
async def next_one(orders: Annotated[Service, Depends(service("orders", version="^1.0"))]) -> dict[str, str]:
    async with orders.pick() as endpoint:
        return {"call": f"http://{endpoint.address}:{endpoint.port}"}

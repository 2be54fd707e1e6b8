"""A Litestar service that is found while it serves. PORT=8000 uvicorn litestar_app:app --port 8000"""

import os

from litestar import Litestar, get
from litestar.di import NamedDependency

from callboard.integrations.litestar import CallboardMiddleware, Service, lifespan, service


@get("/")
async def index() -> dict[str, int]:
    return {"pid": os.getpid()}


@get("/next")
async def next_one(orders: NamedDependency[Service]) -> dict[str, str]:
    async with orders.pick() as endpoint:
        return {"call": f"http://{endpoint.address}:{endpoint.port}"}


app = Litestar(
    route_handlers=[index, next_one],
    lifespan=[lifespan("orders")],
    middleware=[CallboardMiddleware],
    dependencies={"orders": service("orders")},
)

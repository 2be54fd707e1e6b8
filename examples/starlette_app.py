"""A Starlette service that is found while it serves. PORT=8000 uvicorn starlette_app:app --port 8000"""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from callboard.integrations.starlette import CallboardMiddleware, lifespan, service


async def index(request: Request) -> JSONResponse:
    return JSONResponse({"pid": os.getpid()})


async def next_one(request: Request) -> JSONResponse:
    async with service(request, "orders").pick() as endpoint:
        return JSONResponse({"call": f"http://{endpoint.address}:{endpoint.port}"})


app = Starlette(
    routes=[Route("/", index), Route("/next", next_one)],
    lifespan=lifespan("orders"),
    middleware=[Middleware(CallboardMiddleware, health_path="/health", ready_path="/ready")],
)

"""A gRPC service that is found while it serves. python grpc_service.py PORT"""

import asyncio
import sys

import grpc

from callboard import aio

port = int(sys.argv[1])


async def greet(request: bytes, _context: grpc.aio.ServicerContext) -> bytes:
    return b"%s, from %d" % (request, port)


async def main() -> None:
    server = grpc.aio.server()
    methods = {"Greet": grpc.unary_unary_rpc_method_handler(greet)}  # or what grpcio-tools generated
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("demo.Greeter", methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    async with aio.connect() as board, board.register("greeter", port=port):
        await server.wait_for_termination()


asyncio.run(main())

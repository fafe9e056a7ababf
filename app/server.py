"""Runs the application: the HTTP server in a thread for the demonstration, or in the foreground for `serve`."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from rich.console import Console

from app.api import create_api
from app.context import Context, build, forget
from app.errors import Refused
from app.services.runner import Runner
from app.settings import Settings


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; a port that is taken is named."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named asyncio sends small packets at once; else an answer may wait 40 ms for an acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
        raise Refused(
            f"Cannot listen on {host}:{port}: {error.strerror}.",
            field="PORT" if taken else "HOST",
            expected="a free port (set PORT or --port)" if taken else "an address of this machine (set HOST or --host)",
            got=str(port) if taken else host,
        ) from error
    return bound


RECURSION = 12_288
"""Frames, as many as py-evm needs. py-ecc sets 100,000 when it is imported, at which a deeply nested JSON body overflows the
stack of the process instead of being refused."""


def _server(ctx: Context, host: str) -> uvicorn.Server:
    sys.setrecursionlimit(RECURSION)
    # What failed is told by app.api.problem, without the message that a traceback ends with.
    logging.getLogger("uvicorn.error").addFilter(lambda record: not record.exc_info)
    # A reader of an open event stream must not keep the process from ending.
    config = uvicorn.Config(create_api(ctx), host=host, log_level="warning", timeout_graceful_shutdown=5)
    return uvicorn.Server(config)


@contextmanager
def running(ctx: Context) -> Iterator[str]:
    """The API of a context on a free loopback port, for as long as the block lasts; yields its URL."""
    bound = listen("127.0.0.1", 0)
    server = _server(ctx, "127.0.0.1")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="api", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the API did not start")
            time.sleep(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        bound.close()


def serve(host: str, port: int, *, seed: bool, console: Console) -> None:
    """Runs the marketplace until it is told to stop. With `seed` a development chain opens on the demonstration day."""
    from app.demo import plan, seeding  # the demonstration is a client of this module

    # uvicorn raises the signal that ended it once more: it must end this process in order, chain and provers included.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    bound = listen(host, port)  # before anything slow, so that a busy port is told at once
    settings = Settings()
    ctx = build(settings, start_time=plan.start_time())
    seed = seed and ctx.chain.is_development and settings.deployment is None
    if seed and seeding.cut_off(ctx):
        console.print("The demonstration day was cut off while it was seeded. It begins again, on a new chain.")
        forget(ctx)
        ctx = build(settings, start_time=plan.start_time())
    try:
        if ctx.started_anew:
            console.print(ctx.started_anew, highlight=False)
        if seed:
            seeding.seed(ctx, console)
        runner = Runner(ctx)
        runner.start()
        shown = f"http://{'[' + host + ']' if ':' in host else host}:{bound.getsockname()[1]}"
        clock = " (simulated clock)" if ctx.simulated else ""
        console.print(f"Wattproof is at {shown} on the {ctx.chain.name} chain{clock}. Stop it with Ctrl-C.", highlight=False)
        try:
            _server(ctx, host).run(sockets=[bound])
        finally:
            ctx.workers.close()  # a proof that is under way is made again by the next process
            runner.stop()
    finally:
        bound.close()
        ctx.close()

"""The real application with a small seeded market, and headless Chromium looking at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser_wallet import ANNOUNCE, BrowserWallet
from machine import chromium
from playwright.sync_api import BrowserContext, Page, sync_playwright
from rich.console import Console

from app.client import Api
from app.context import Context, build
from app.demo import scenario, seeding
from app.demo.community import Community
from app.demo.day import Narrator, hold
from app.demo.plan import start_time
from app.demo.report import Day
from app.server import running
from app.settings import Settings

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
HOMES = ("home-01", "home-09", "home-14")


@dataclass
class Market:
    """A settled session 1, an open session 2, and where they are served."""

    ctx: Context
    url: str
    api: Api


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    folder: Path = tmp_path_factory.mktemp("market")
    ctx = build(Settings(data_dir=folder / "var", chain="anvil", database_url=None), start_time=start_time(), persist=False)
    plan = scenario.load()
    small = plan.model_copy(update={"homes": {label: plan.homes[label] for label in HOMES}})
    try:
        with running(ctx) as url, Api(url, ctx.operator_token) as api:
            community = Community(api, small, folder / "gateways")
            day = Day()
            hold(ctx, api, community, day, Narrator(Console(quiet=True), day), shown=("home-01",))
            seeding.next_session(ctx, api, community)
            yield Market(ctx, url, api)
    finally:
        ctx.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with sync_playwright() as p:
        context = p.chromium.launch_persistent_context(
            str(tmp_path_factory.mktemp("profile")), executable_path=chromium(), headless=True, args=FLAGS, locale="en-IE",
            viewport={"width": 1280, "height": 900},
        )  # fmt: skip
        yield context
        context.close()


@dataclass
class Visit:
    """A page of the market with a wallet in it, and everything that the page complained about or asked of other hosts."""

    page: Page
    wallet: BrowserWallet
    complaints: list[str]
    outside: list[str]


@pytest.fixture
def visit(market: Market, browser: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Visit]:
    page = browser.new_page()
    wallet = BrowserWallet(bytes([len(request.node.name)]) * 32, market.ctx.chain.chain_id)
    page.expose_binding("__wallet", wallet.handle)
    page.add_init_script(ANNOUNCE)
    found = Visit(page, wallet, [], [])
    page.on("console", lambda m: found.complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.complaints.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((market.url, "data:")) else found.outside.append(r.url))
    yield found
    page.close()
    assert found.outside == [], "the page talks to its own server only"

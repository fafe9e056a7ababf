"""The page in headless Chromium: what it shows of a settled day, and an order signed with a real key."""

from __future__ import annotations

from pathlib import Path

import pytest
from machine import ROOT
from playwright.sync_api import expect

pytestmark = [pytest.mark.needs("chromium", "anvil", "key", "pages"), pytest.mark.slow]

AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
VIOLATIONS = """
axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"] }).then((result) =>
  result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target + " " + n.failureSummary).join("; ")}`))
"""


def test_a_settled_session_shows_prices_orders_proofs_and_statements(market, visit) -> None:  # type: ignore[no-untyped-def]
    page = visit.page
    page.goto(f"{market.url}/#/sessions/1")
    expect(page.get_by_test_id("session-state")).to_contain_text("Settled")
    session = market.api.get("/sessions/1")
    for row in session["cleared"]:
        shown = f"{row['price'] / 1e6:.4f}" if row["price"] is not None else "no trade"
        expect(page.get_by_test_id(f"price-{row['interval']}").first).to_contain_text(shown, ignore_case=True)
    expect(page.get_by_test_id("orders-table")).to_contain_text("DSO")
    expect(page.get_by_test_id("proofs-table").get_by_text("Verified")).to_have_count(session["proofs"]["verified"])
    expect(page.get_by_test_id("statements-table")).to_contain_text("home-09")
    expect(page.get_by_text("simulated").first).to_be_visible()
    states = {(o["label"], o["side"]): _state_of(o) for o in market.api.get("/sessions/1/orders")["items"] if o["live"]}
    assert {"Filled", "Partly filled"} <= set(states.values())
    for (label, _), state in states.items():
        expect(page.get_by_test_id("orders-table").get_by_role("row").filter(has_text=label)).to_contain_text(state)
    clock = page.locator(".clock")
    expect(clock).to_contain_text("This session has ended")
    expect(clock.get_by_role("button")).to_have_count(0)
    clock.get_by_role("link", name="To session 2").click()
    expect(page.get_by_test_id("session-state")).to_contain_text("Open")
    assert visit.complaints == []


def _state_of(order) -> str:  # type: ignore[no-untyped-def]
    filled, quantity = sum(order["fills"]), sum(sum(step["quantities"]) for step in order["steps"])
    return "Filled" if filled == quantity else "Partly filled" if filled else "Not filled"


@pytest.mark.parametrize("address", ["#/nope", "#/sessions/abc"])
def test_an_address_without_a_page_says_so(market, visit, address) -> None:  # type: ignore[no-untyped-def]
    page = visit.page
    page.goto(f"{market.url}/{address}")
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    expect(page.locator("main")).to_contain_text(address)
    assert page.url.endswith(address)
    page.get_by_role("link", name="To the current session", exact=True).click()
    expect(page.get_by_test_id("session-state")).to_contain_text("Open")
    assert visit.complaints == []


def test_the_page_opens_on_the_open_session_and_has_no_accessibility_violation(market, visit) -> None:  # type: ignore[no-untyped-def]
    page = visit.page
    page.goto(market.url)
    expect(page.get_by_test_id("session-state")).to_contain_text("Open")
    page.evaluate(Path(AXE).read_text())
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(400)  # colours change in a transition
        violations = page.evaluate(VIOLATIONS)
        assert violations == [], scheme
    page.set_viewport_size({"width": 375, "height": 812})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing overflows on a phone"
    frame = page.get_by_role("region", name="Orders of the session")
    for column in ("Quantity, kWh", "Limit, EUR/kWh"):
        end = frame.get_by_role("columnheader", name=column).evaluate("cell => cell.getBoundingClientRect().right")
        assert end <= 375, f"{column} can be read without scrolling"
    page.set_viewport_size({"width": 1280, "height": 900})


def test_the_development_wallet_offers_and_takes_the_offer_back(market, visit) -> None:  # type: ignore[no-untyped-def]
    page = visit.page
    page.goto(f"{market.url}/#/sessions/2")
    before = len(market.api.get("/sessions/2/orders")["items"])
    page.get_by_role("button", name="Local development wallet").click()
    expect(page.locator(".ticket .forecast-head")).to_contain_text("flexible", timeout=20_000)
    page.get_by_test_id("quantity-0-17").fill("0.4")
    page.get_by_test_id("limit-0-17").fill("0.11")
    page.get_by_test_id("review-order").click()
    expect(page.get_by_role("dialog")).to_contain_text("0.4")
    page.get_by_test_id("sign-and-send").click()
    expect(page.get_by_test_id("order-result")).to_contain_text("confirmed", timeout=20_000, ignore_case=True)
    orders = market.api.get("/sessions/2/orders")["items"]
    assert len(orders) == before + 1
    assert orders[-1]["label"] == "home-01"
    assert (orders[-1]["steps"][0]["quantities"][0], orders[-1]["steps"][0]["limits"][0]) == (400, 110_000)
    account = market.api.get(f"/accounts/{orders[-1]['account']}")
    assert account["locked"] == orders[-1]["lock"]
    frame = page.get_by_role("region", name="Orders of the session")
    assert frame.evaluate("frame => frame.scrollWidth <= frame.clientWidth"), "the own order pushes no column out of sight"
    page.get_by_role("button", name="Cancel this offer").click()
    page.get_by_role("dialog").get_by_role("button").filter(has_text="Sign").click()
    expect(page.get_by_test_id("orders-table")).to_contain_text("Cancellation", timeout=20_000)
    last = market.api.get("/sessions/2/orders")["items"][-1]
    assert last["cancels"]
    assert last["account"] == orders[-1]["account"]
    assert visit.complaints == []


def test_an_injected_wallet_registers_and_bids_with_its_own_key(market, visit) -> None:  # type: ignore[no-untyped-def]
    page, wallet = visit.page, visit.wallet
    page.goto(f"{market.url}/#/sessions/2")
    wallet.rejects.add("eth_requestAccounts")
    page.get_by_role("button", name="Test Wallet").click()
    expect(page.get_by_role("alert").first).to_contain_text("rejected")
    wallet.rejects.clear()
    page.get_by_role("button", name="Test Wallet").click()
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("No meter: bids only")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Get play money").click()
    expect(page.get_by_test_id("balance-available")).not_to_contain_text("€0.00", timeout=20_000)
    page.get_by_test_id("quantity-0-18").fill("1.5")
    page.get_by_test_id("limit-0-18").fill("0.3")
    page.get_by_test_id("review-order").click()
    wallet.rejects.add("eth_signTypedData_v4")
    page.get_by_test_id("sign-and-send").click()
    expect(page.get_by_role("dialog")).to_contain_text("rejected")
    wallet.rejects.clear()
    page.get_by_test_id("sign-and-send").click()
    expect(page.get_by_test_id("order-result")).to_contain_text("confirmed", timeout=20_000, ignore_case=True)
    mine = market.api.get("/accounts", owner=wallet.account.address)["items"]
    assert len(mine) == 1
    assert mine[0]["meter"] == "none"
    order = market.api.get("/sessions/2/orders")["items"][-1]
    assert (order["account"], order["side"]) == (mine[0]["index"], "bid")
    assert order["steps"][0]["quantities"][1] == 1500
    assert mine[0]["locked"] == order["lock"] == 450_000
    assert wallet.signed[-1]["primaryType"] == "OrderBatch"
    assert wallet.signed[-1]["domain"]["verifyingContract"].lower() == market.ctx.deployment.contracts["FlexMarket"].lower()

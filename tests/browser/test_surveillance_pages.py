"""The explanation of a price on a session's page, and the page of alerts behind its token, in headless Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from test_page import AXE, VIOLATIONS

pytestmark = [pytest.mark.needs("chromium", "anvil", "key", "pages"), pytest.mark.slow]


def test_a_price_is_explained(market, visit) -> None:  # type: ignore[no-untyped-def]
    page = visit.page
    page.goto(f"{market.url}/#/sessions/1")
    found = market.api.get("/sessions/1/explanation")
    row = next(row for row in found["intervals"] if row["price"] is not None)
    panel = page.get_by_test_id("explanation")
    expect(panel.get_by_test_id("explained-price")).to_contain_text(f"{row['price'] / 1e6:.4f}")
    expect(panel).to_contain_text("At the margin")
    changed = [w for w in row["without"] if (w["price"], w["volume_wh"]) != (row["price"], row["volume_wh"])]
    expect(panel.locator("tbody tr")).to_have_count(len(changed))
    assert visit.complaints == []


def test_alerts_are_behind_a_token(market, visit) -> None:  # type: ignore[no-untyped-def]
    page = visit.page
    page.goto(f"{market.url}/#/alerts")
    page.get_by_test_id("alerts-token").fill("a guess")
    page.get_by_role("button", name="Show alerts").click()
    expect(page.get_by_role("alert")).to_contain_text("operator's or the guardian's token")
    page.get_by_role("button", name="Forget the token").click()
    page.get_by_test_id("alerts-token").fill(market.ctx.guardian_token)
    page.get_by_role("button", name="Show alerts").click()
    expect(page.get_by_test_id("alerts-table")).to_contain_text("Nothing was found")
    page.evaluate(Path(AXE).read_text())
    page.wait_for_timeout(400)
    assert page.evaluate(VIOLATIONS) == []

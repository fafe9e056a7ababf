/** Standing of orders, paths of sessions, the page's address. */
import { describe, expect, test } from "vitest";
import type { OrderRow, Session } from "./resources";
import { defaultSession, pathOf, sessionInHash, standingOf } from "./standing";

const row = (position: number, given: Partial<OrderRow> = {}): OrderRow => ({
  position,
  account: 1,
  label: null,
  agent: null,
  payer: 1,
  side: "offer",
  reserve: false,
  live: false,
  cancels: false,
  steps: [],
  fills: null,
  lock: 0,
  status: "confirmed",
  tx: null,
  ...given,
});

describe("what became of an order", () => {
  const log = [
    row(0),
    row(1),
    row(2, { cancels: true, live: true }),
    row(3, { side: "bid", live: true }),
    row(4, { account: 2, live: true }),
  ];
  test.each([
    [0, "replaced"],
    [1, "cancelled"],
    [2, "cancellation"],
    [3, "live"],
    [4, "live"],
  ])("entry %i is %s", (position, standing) => {
    const entry = log[position];
    if (entry === undefined) throw new Error("no such entry");
    expect(standingOf(entry, log)).toBe(standing);
  });

  test("an order on its way or refused is neither live nor replaced", () => {
    expect(standingOf(row(9, { status: "pending" }), log)).toBe("pending");
    expect(standingOf(row(9, { status: "failed", live: true }), log)).toBe("failed");
  });

  test("a later order that failed does not replace", () => {
    expect(standingOf(row(0), [row(0), row(1, { status: "failed", cancels: true }), row(2, { live: true })])).toBe("replaced");
  });
});

test("each state lies on its own path", () => {
  expect(pathOf("UnderReview")).toContain("UnderReview");
  expect(pathOf("UnderReview")).not.toContain("Cleared");
  expect(pathOf("Cancelled").at(-1)).toBe("Cancelled");
  expect(pathOf("Settling")).toEqual(["Scheduled", "Open", "Closed", "Cleared", "Delivering", "Settling", "Settled"]);
});

test("the page begins with the newest open session, else with the newest", () => {
  const session = (id: number, state: Session["state"]): Session => ({ id, state }) as Session;
  expect(defaultSession([session(4, "Scheduled"), session(3, "Open"), session(2, "Open")])?.id).toBe(3);
  expect(defaultSession([session(2, "Settled"), session(1, "Settled")])?.id).toBe(2);
  expect(defaultSession([])).toBeUndefined();
});

test("session numbers in the address", () => {
  expect(sessionInHash("#/sessions/12")).toBe(12);
  expect(["", "#/", "#/sessions/", "#/sessions/x", "#/sessions/1/2"].map(sessionInHash)).toEqual([
    null,
    null,
    null,
    null,
    null,
  ]);
});

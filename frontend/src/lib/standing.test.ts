/** Standing of orders, paths of sessions, the page's address. */
import { describe, expect, test } from "vitest";
import type { OrderRow, Session } from "./resources";
import { defaultSession, pathOf, placeOf, standingOf } from "./standing";

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
    expect(standingOf(entry, log, "Open")).toBe(standing);
  });

  test("an order on its way or refused is neither live nor replaced", () => {
    expect(standingOf(row(9, { status: "pending" }), log, "Settled")).toBe("pending");
    expect(standingOf(row(9, { status: "failed", live: true }), log, "Open")).toBe("failed");
  });

  test("a later order that failed does not replace", () => {
    const later = [row(0), row(1, { status: "failed", cancels: true }), row(2, { live: true })];
    expect(standingOf(row(0), later, "Open")).toBe("replaced");
  });

  const steps = [
    { quantities: [300, 0], limits: [100_000, 0] },
    { quantities: [200, 500], limits: [150_000, 150_000] },
  ];
  test.each([
    ["Settled", [500, 500], "filled"],
    ["Delivering", [500, 499], "partly"],
    ["Cleared", [0, 0], "unfilled"],
    ["Closed", null, "closed"],
    ["UnderReview", [500, 500], "closed"],
    ["Cancelled", [500, 500], "unfilled"],
    ["Cancelled", null, "unfilled"],
    ["Open", null, "live"],
  ] as const)("after the gate a live order goes by its fills: %s, %j is %s", (state, fills, standing) => {
    expect(standingOf(row(5, { live: true, steps, fills: fills === null ? null : [...fills] }), log, state)).toBe(standing);
  });

  test("an order replaced before the gate closed stays replaced", () => {
    expect(standingOf(row(0, { steps, fills: [0, 0] }), log, "Settled")).toBe("replaced");
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

test("what an address asks for", () => {
  expect(placeOf("#/sessions/12")).toEqual({ at: "session", id: 12 });
  expect(placeOf("#/alerts")).toEqual({ at: "alerts" });
  for (const hash of ["", "#", "#/"]) expect(placeOf(hash)).toEqual({ at: "start" });
  for (const hash of ["#/nope", "#/sessions/", "#/sessions/x", "#/sessions/1/2", "#/sessions/1234567890"]) {
    expect(placeOf(hash)).toEqual({ at: "nowhere" });
  }
});

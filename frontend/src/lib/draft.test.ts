/** The order form: what it proposes, what it refuses, what it makes of what was typed. */
import { describe, expect, test } from "vitest";
import {
  checkDraft,
  type Draft,
  prefill,
  type Terms,
  withField,
  withFlexible,
  withLimit,
  withoutStep,
  withStep,
} from "./draft";
import { ownOrder } from "./encoding";
import { makeFormats } from "./format";

const formats = makeFormats("en");
const terms: Terms = {
  account: 7,
  hasMeter: true,
  available: 20_000_000,
  agent: null,
  envelope: null,
  intakeFee: 0,
  labels: ["17:00–18:00", "18:00–19:00"],
  minQuantity: 100,
  priceCap: 600_000,
  collateralPpm: 500_000,
  open: true,
  blocks: false,
};
const offer = (quantities: string[], limits: string[]): Draft => ({ side: "offer", steps: [{ quantities, limits }] });
const fields = (draft: Draft, given: Terms = terms): string[] =>
  checkDraft(draft, given, formats).issues.map((issue) => issue.field);

describe("a good order", () => {
  test("becomes whole units, and its lock follows the protocol's formula", () => {
    const check = checkDraft(offer(["0,5", ""], ["0.12", "0.3"]), terms, formats);
    expect(check.issues).toEqual([]);
    expect(check.order).toEqual(ownOrder(7, "offer", [{ quantities: [500, 0], limits: [120_000, 0] }]));
    // 50 % of 0.5 kWh at the cap of 0.60 EUR/kWh
    expect(check.lock).toBe(150_000n);
  });

  test("a bid locks each entry at its limit, rounded up", () => {
    const draft: Draft = { side: "bid", steps: [{ quantities: ["0.333", "0.101"], limits: ["0.100001", "0.000001"] }] };
    // 333 * 100001 / 1000 = 33300.333 and 101 * 1 / 1000 = 0.101
    expect(checkDraft(draft, terms, formats).lock).toBe(33_302n);
  });

  test("an account without a meter can bid", () => {
    const draft: Draft = { side: "bid", steps: [{ quantities: ["1", ""], limits: ["0.1", ""] }] };
    expect(fields(draft, { ...terms, hasMeter: false })).toEqual([]);
  });
});

describe("an order for another's account", () => {
  const acting: Terms = { ...terms, available: 10, agent: { account: 3, available: 149_999 } };

  test("names its agent, and the account pays unless the agent says so", () => {
    const own = checkDraft(offer(["0.5", ""], ["0.1", ""]), { ...acting, available: 150_000 }, formats);
    expect(own.order).toMatchObject({ account: 7, agent: 3, agentPays: false });
    const agents = checkDraft(
      { ...offer(["0.499", ""], ["0.1", ""]), agentPays: true, reserve: true },
      acting,
      formats,
    );
    expect(agents.order).toMatchObject({ account: 7, agent: 3, agentPays: true, reserve: true });
  });

  test("is held against the payer's balance, with the intake fee", () => {
    expect(fields({ ...offer(["0.5", ""], ["0.1", ""]), agentPays: true }, acting)).toEqual(["balance"]);
    expect(fields(offer(["0.499", ""], ["0.1", ""]), acting)).toEqual(["balance"]);
    const exact: Terms = { ...terms, available: 150_000 };
    expect(fields(offer(["0.5", ""], ["0.1", ""]), exact)).toEqual([]);
    expect(fields(offer(["0.5", ""], ["0.1", ""]), { ...exact, intakeFee: 1 })).toEqual(["balance"]);
  });

  test("a block says how much of it has to be filled", () => {
    const blocks = { ...terms, blocks: true };
    const draft = { ...offer(["0.499", ""], ["0.1", ""]), reserve: true };
    expect(checkDraft({ ...draft, minFill: "12,5" }, blocks, formats).order).toMatchObject({ minFillPpm: 125_000, reserve: false });
    expect(checkDraft({ ...draft, minFill: "100" }, blocks, formats).order).toMatchObject({ minFillPpm: 1_000_000 });
    expect(checkDraft(draft, blocks, formats).order).toMatchObject({ minFillPpm: 0 });
    expect(checkDraft({ ...draft, minFill: "50" }, terms, formats).order).toMatchObject({ minFillPpm: 0, reserve: true });
    for (const minFill of ["100.0001", "101", "half", "-1", "0.00001"]) expect(fields({ ...draft, minFill }, blocks)).toEqual(["minFill"]);
  });

  test("nobody pays for an agent that is not there, and no bid is a reserve", () => {
    const bid: Draft = { side: "bid", steps: [{ quantities: ["1", ""], limits: ["0.1", ""] }], agentPays: true, reserve: true };
    expect(checkDraft(bid, terms, formats).order).toMatchObject({ agent: 0, agentPays: false, reserve: false });
  });
});

test("offers end at the device envelope, all steps together; bids do not", () => {
  const two: Draft = {
    side: "offer",
    steps: [
      { quantities: ["0.6", ""], limits: ["0.1", ""] },
      { quantities: ["0.5", ""], limits: ["0.2", ""] },
    ],
  };
  expect(fields(two, { ...terms, envelope: 1100 })).toEqual([]);
  expect(fields(two, { ...terms, envelope: 1099 })).toEqual(["envelope"]);
  expect(fields({ ...two, side: "bid" }, { ...terms, envelope: 0 })).toEqual([]);
  expect(checkDraft(two, { ...terms, envelope: 0 }, formats).issues[0]?.message).toContain("No device envelope");
});

describe("what is refused, by field", () => {
  test.each([
    ["below the minimum", offer(["0.05", ""], ["0.1", ""]), ["steps[0].quantities[0]"]],
    ["beyond the cap", offer(["", "1"], ["", "0.600001"]), ["steps[0].limits[1]"]],
    ["beyond 24 bits", offer(["16777.216", ""], ["0", ""]), ["steps[0].quantities[0]", "balance"]],
    ["no price", offer(["1", ""], [" ", ""]), ["steps[0].limits[0]"]],
    ["not a number", offer(["abc", "1"], ["0.1", "0.1"]), ["steps[0].quantities[0]"]],
    ["a thousand or one", offer(["1,000", "1"], ["0.1", "1,000"]), ["steps[0].quantities[0]", "steps[0].limits[1]"]],
    ["too many decimals", offer(["0.1234", "1"], ["0.1", "0.1"]), ["steps[0].quantities[0]"]],
    ["nothing at all", offer(["", "0"], ["0.1", "0.1"]), ["order"]],
  ])("%s", (_, draft, expected) => {
    expect(fields(draft)).toEqual(expected);
    expect(checkDraft(draft, terms, formats).order).toBeNull();
  });

  test("gate, meter and balance", () => {
    const draft = offer(["1", ""], ["0.1", ""]);
    expect(fields(draft, { ...terms, open: false })).toEqual(["gate"]);
    expect(fields(draft, { ...terms, hasMeter: false })).toEqual(["meter"]);
    expect(fields(draft, { ...terms, available: 299_999 })).toEqual(["balance"]);
    expect(fields(draft, { ...terms, available: 300_000 })).toEqual([]);
  });

  test("messages name interval, rule and what came", () => {
    const [issue] = checkDraft(offer(["0.05", ""], ["0.1", ""]), terms, formats).issues;
    expect(issue?.message).toBe("17:00–18:00, quantity: at least 0.100 kWh, got 0.050 kWh");
    const [thousand] = checkDraft(offer(["1,000", ""], ["0.1", ""]), terms, formats).issues;
    expect(thousand?.message).toBe(
      "17:00–18:00, quantity: expected 1000 or 1.000, because “,” here could mean either, got “1,000”",
    );
  });
});

describe("the proposal", () => {
  const book = [
    { interval: 17, bids: [{ price: 320_000, quantity_wh: 5, account: 1 }], offers: [] },
    { interval: 18, bids: [], offers: [{ price: 90_000, quantity_wh: 5, account: 2 }] },
  ];

  test("an offer takes the forecast where it reaches the minimum, at the best bid", () => {
    expect(prefill("offer", [17, 18], [310, 99], book, terms, formats)).toEqual(offer(["0.31", ""], ["0.32", "0.3"]));
  });

  test("limits are where the live book crosses", () => {
    const crossed = [{ interval: 17, bids: book[0]!.bids, offers: [{ price: 100_000, quantity_wh: 5, account: 2 }] }];
    expect(prefill("offer", [17], [310], crossed, terms, formats).steps[0]?.limits).toEqual(["0.21"]);
    expect(prefill("bid", [17], null, crossed, terms, formats).steps[0]?.limits).toEqual(["0.21"]);
  });

  test("a bid has no quantities, at the best offer", () => {
    expect(prefill("bid", [17, 18], [310, 99], book, terms, formats).steps).toEqual([
      { quantities: ["", ""], limits: ["0.3", "0.09"] },
    ]);
  });

  test("a negative or missing forecast proposes nothing", () => {
    expect(prefill("offer", [17, 18], [-500, 0], [], terms, formats).steps[0]?.quantities).toEqual(["", ""]);
    expect(prefill("offer", [17, 18], null, [], terms, formats).steps[0]?.quantities).toEqual(["", ""]);
  });
});

describe("a forecast that comes after the form", () => {
  test("fills in what it would have proposed, and keeps the limits typed meanwhile", () => {
    expect(withFlexible(offer(["", " "], ["0.1", "0.2"]), [310, 99], terms, formats)).toEqual(
      offer(["0.31", ""], ["0.1", "0.2"]),
    );
  });

  test("moves nothing once a quantity is typed, in any step", () => {
    const typed = offer(["", "2"], ["0.1", "0.2"]);
    expect(withFlexible(typed, [310, 310], terms, formats)).toBe(typed);
    const second = withField(withStep(offer(["", ""], ["0.1", "0.2"])), 1, "quantities", 0, "1");
    expect(withFlexible(second, [310, 310], terms, formats)).toBe(second);
  });

  test("proposes nothing for a bid", () => {
    const bid: Draft = { side: "bid", steps: [{ quantities: ["", ""], limits: ["0.1", ""] }] };
    expect(withFlexible(bid, [310, 310], terms, formats)).toEqual(bid);
  });
});

describe("changing it", () => {
  const draft = offer(["1", "2"], ["0.1", "0.2"]);
  test("one field, all limits, more and fewer steps", () => {
    expect(withField(draft, 0, "quantities", 1, "9")).toEqual(offer(["1", "9"], ["0.1", "0.2"]));
    expect(withLimit(draft, 0, "0.5")).toEqual(offer(["1", "2"], ["0.5", "0.5"]));
    expect(withStep(draft).steps[1]).toEqual({ quantities: ["", ""], limits: ["0.1", "0.2"] });
    expect(withoutStep(withStep(draft), 0).steps).toEqual([{ quantities: ["", ""], limits: ["0.1", "0.2"] }]);
    expect(withoutStep(draft, 0)).toBe(draft);
  });

  test("never more than four steps", () => {
    let grown = draft;
    for (let i = 0; i < 9; i++) grown = withStep(grown);
    expect(grown.steps).toHaveLength(4);
  });
});

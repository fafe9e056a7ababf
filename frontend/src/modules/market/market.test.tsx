/** What the market's sections show for a session, rendered to plain HTML. */
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, test } from "vitest";
import type { SessionDetail } from "../../lib/resources";
import { SessionSummary } from "../sessions/session-summary";
import { CurvePlot } from "./curve-plot";
import { Results } from "./results";

const session: SessionDetail = {
  id: 2,
  zone: { id: 1, offset_seconds: 3600, interval_minutes: 60 },
  kind: "electrical",
  direction: "DOWN",
  mode: "competitive",
  state: "Delivering",
  day: 17365,
  date: "2017-07-18",
  intervals: [17, 18],
  gate_open: "2017-07-18T08:00:00Z",
  gate_close: "2017-07-18T15:00:00Z",
  delivery_start: "2017-07-18T16:00:00Z",
  delivery_end: "2017-07-18T18:00:00Z",
  exemption_deadline: "2017-07-18T19:00:00Z",
  proof_deadline: "2017-07-19T18:00:00Z",
  price_cap: 600_000,
  min_quantity_wh: 100,
  collateral_ppm: 500_000,
  fee_ppm: 0,
  fee_account: null,
  intake_fee: 0,
  orders: 3,
  entries: 5,
  volume_wh: 1500,
  cleared: [
    { interval: 17, price: 112_500, lo: 100_000, hi: 125_000, share: null, volume_wh: 1500 },
    { interval: 18, price: null, lo: 90_000, hi: 4_294_967_295, share: null, volume_wh: 0 },
  ],
  proposals: [],
  outside: [],
  transactions: [],
  settlement: null,
  proofs: { expected: 2, verified: 1 },
};

describe("results", () => {
  const html = renderToStaticMarkup(<Results session={session} />);

  test("price and volume of each interval", () => {
    expect(html).toMatch(/data-testid="price-17"><strong>0\.1125<\/strong>/);
    expect(html).toContain(">1.500<");
  });

  test("an interval without trade says so and shows no price", () => {
    expect(html).toMatch(/data-testid="price-18"><span class="no-trade">no trade<\/span>/);
    expect(html).not.toContain("4294");
  });

  test("under review it says which price lies outside which band", () => {
    const outside = [
      { intervals: [17], price: 112_500, low: 40_000, high: 80_000 },
      { intervals: [17, 18], price: 98_000, low: 40_000, high: 80_000 },
    ];
    const shown = renderToStaticMarkup(<Results session={{ ...session, state: "UnderReview", outside }} />);
    expect(shown.replace(/<[^>]*>/g, "")).toContain(
      "At 17:00–18:00 the price is 0.1125 EUR/kWh; prices like those of earlier sessions lie between 0.0400 and 0.0800. " +
        "On average at 17:00–19:00 the price is 0.0980",
    );
    expect(html).not.toContain("earlier sessions");
  });

  test("a cooperative interval shows what every order gains, and no range", () => {
    const cleared = [{ interval: 17, price: 112_500, lo: null, hi: null, share: 17_500, volume_wh: 1500 }];
    const shown = renderToStaticMarkup(<Results session={{ ...session, mode: "cooperative", cleared }} />);
    expect(shown).toContain("Better than its limit by");
    expect(shown).toContain(">0.0175<");
    expect(shown).not.toContain("price-range");
  });

  test("times carry UTC in their tooltip", () => {
    expect(html).toContain('title="2017-07-18 16:00 UTC to 2017-07-18 17:00 UTC">17:00–18:00');
  });

  test("before the clearing there is a word instead of an empty plot", () => {
    expect(renderToStaticMarkup(<Results session={{ ...session, state: "Open", cleared: [] }} />)).toContain(
      "once the session has cleared",
    );
  });
});

describe("the summary", () => {
  test("explains the direction and marks where the session stands", () => {
    const html = renderToStaticMarkup(<SessionSummary session={session} now={null} />);
    expect(html).toContain("Downward regulation");
    expect(html).toMatch(/aria-current="step"><[^>]*><\/span><span class="timeline-name">Delivering/);
    expect(html.match(/class="done"/g)).toHaveLength(4);
  });

  test("names the mode and tells what entering and selling cost, where it costs anything", () => {
    const fees = { fee_ppm: 20_000, fee_account: 3, intake_fee: 1_000 };
    const html = renderToStaticMarkup(<SessionSummary session={{ ...session, ...fees, mode: "cooperative" }} now={null} />);
    expect(html).toContain("electrical · cooperative");
    expect(html).toContain("surplus shared equally");
    expect(html).toMatch(/Fees<\/dt>.*2.*%.*to account 3.*an entry of the log/s);
    expect(renderToStaticMarkup(<SessionSummary session={session} now={null} />)).not.toContain("Fees");
  });

  test("counts down to the gate only while it is open", () => {
    const now = "2017-07-18T14:00:00Z";
    expect(renderToStaticMarkup(<SessionSummary session={{ ...session, state: "Open" }} now={now} />)).toContain(
      "closes in 1 h",
    );
    expect(renderToStaticMarkup(<SessionSummary session={session} now={now} />)).not.toContain("closes in");
  });
});

test("a plot says in words what it shows", () => {
  const level = { price: 100_000, quantity_wh: 1500 };
  const html = renderToStaticMarkup(
    <CurvePlot bids={[level]} offers={[level]} price={100_000} volume={1500} label="17:00–18:00" />,
  );
  expect(html).toContain('aria-label="Demand and supply, 17:00–18:00: clears 1.500 kWh at 0.1000 EUR/kWh.');
});

/** What the explanation of a price and the list of alerts show, rendered to plain HTML. */
import { QueryClientProvider } from "@tanstack/react-query";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, test } from "vitest";
import { makeQueryClient } from "../../lib/queries";
import { alert as decodeAlert, explanation, type SessionDetail } from "../../lib/resources";
import { AlertRows } from "../alerts/alerts-page";
import { Explained } from "./explanation";

const session = { id: 2, zone: { id: 1, offset_seconds: 0, interval_minutes: 60 }, intervals: [17, 18] } as unknown as SessionDetail;
const data = explanation(
  {
    intervals: [
      {
        interval: 17,
        price: 200_000,
        volume_wh: 800,
        marginal: [{ account: 2, side: "offer", limit: 200_000, quantity_wh: 600 }],
        without: [
          { account: 9, price: null, volume_wh: 0 },
          { account: 1, price: 300_000, volume_wh: 600 },
          { account: 3, price: 150_000, volume_wh: 800 },
          { account: 4, price: 200_000, volume_wh: 800 },
        ],
      },
      { interval: 18, price: null, volume_wh: 0, marginal: [], without: [] },
    ],
    participants_left_out: 7,
  },
  "",
);

describe("explanation", () => {
  const html = renderToStaticMarkup(<Explained session={session} data={data} names={(account) => `home-${account}`} />);

  test("the margin in a sentence", () => {
    expect(html).toContain("At the margin: the offer of home-2 at 0.2000.");
  });

  test("what each participant does to the price; who changes nothing is not listed", () => {
    expect(html).toMatch(/home-9.*makes the trade/);
    expect(html).toMatch(/home-1<.*0\.3000.*lowers the price/);
    expect(html).toMatch(/home-3.*0\.1500.*raises the price/);
    expect(html).not.toContain("home-4");
    expect(html).toContain("7 participants");
  });
});

describe("alerts", () => {
  const row = {
    id: 3,
    session: 7,
    detector: "self_trade",
    severity: "alert",
    open: false,
    made: "2017-07-18T16:00:00Z",
    hash: `0x${"12".repeat(32)}`,
    evidence: {
      intervals: [17],
      accounts: [4, 9],
      suspects: [{ account: 4, side: "bid" }],
      figures: { own_wh: 800 },
      impact: { ppm: -125_000, money: -40_000, prices: [200_000], prices_without: [null] },
    },
    decisions: [{ outcome: "dismissed", reason: "why", transaction: `0x${"34".repeat(32)}` }],
  };
  const shown = (item: unknown) =>
    renderToStaticMarkup(
      <QueryClientProvider client={makeQueryClient()}>
        <AlertRows items={[decodeAlert(item, "")]} token="t" />
      </QueryClientProvider>,
    );

  test("whom it names, what it moved, what was decided", () => {
    const html = shown(row);
    for (const part of ["self trade", "4, 9", "-12.5%", "dismissed"]) expect(html).toContain(part);
  });

  test("a notice names nobody and is open until somebody decides", () => {
    const html = shown({ ...row, severity: "notice", decisions: [], evidence: { ...row.evidence, accounts: [], impact: null } });
    expect(html).toContain("nobody");
    expect(html).toContain(">open<");
  });
});

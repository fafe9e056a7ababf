/** When the page asks for a signature to show a forecast, and what it shows meanwhile. */
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, test } from "vitest";
import { ApiError } from "../../lib/api";
import type { Forecast, SessionDetail } from "../../lib/resources";
import { walletError } from "../../lib/wallet";
import { type Known, type OwnForecast, OwnForecastView, stateOf } from "./own-forecast";

const forecast: Forecast = {
  intervals: [17],
  load_wh: [900],
  pv_wh: [0],
  net_load_wh: [900],
  baseline_wh: null,
  flexible_wh: [310],
  method: "a method",
  day: { net_load_wh: Array.from({ length: 24 }, () => 500) },
};
const refused = new ApiError(401, "These are a member's private data.", null);
const nothing = (): void => undefined;
const known: Known = {
  hasMeter: true,
  silent: false,
  held: false,
  asked: { isPending: false, error: null },
  query: { data: undefined, error: null },
  show: nothing,
  retry: nothing,
};

describe("the state", () => {
  test("an account without a meter is asked for nothing, whatever the wallet", () => {
    expect(stateOf({ ...known, hasMeter: false }).at).toBe("none");
    expect(stateOf({ ...known, hasMeter: false, silent: true }).at).toBe("none");
  });

  test("an injected wallet is asked first; the development wallet never", () => {
    expect(stateOf(known)).toMatchObject({ at: "locked", signing: false, error: null });
    expect(stateOf({ ...known, silent: true }).at).toBe("loading");
  });

  test("a signature opens it, and its end hides what was read", () => {
    const read = { data: forecast, error: null };
    expect(stateOf({ ...known, held: true }).at).toBe("loading");
    expect(stateOf({ ...known, held: true, query: read })).toEqual({ at: "shown", forecast });
    expect(stateOf({ ...known, held: false, query: read }).at).toBe("locked");
  });

  test("a rejection is shown until the next try", () => {
    const error = walletError({ code: 4001 });
    expect(stateOf({ ...known, asked: { isPending: false, error } })).toMatchObject({ at: "locked", signing: false, error });
    expect(stateOf({ ...known, asked: { isPending: true, error } })).toMatchObject({ signing: true, error: null });
  });

  test("the server's refusal is shown beside the button, for the development wallet with another try", () => {
    const query = { data: undefined, error: refused };
    expect(stateOf({ ...known, query })).toMatchObject({ at: "locked", error: refused });
    expect(stateOf({ ...known, silent: true, query })).toMatchObject({ at: "failed", error: refused });
  });

  test("no readings is an answer, another failure is not", () => {
    const failed = (status: number): OwnForecast =>
      stateOf({ ...known, held: true, query: { data: undefined, error: new ApiError(status, "", null) } });
    expect(failed(404).at).toBe("none");
    expect(failed(503).at).toBe("failed");
  });
});

describe("what is shown", () => {
  const session = { direction: "UP", day: 17365, intervals: [17], zone: { id: 1, offset_seconds: 3600, interval_minutes: 60 } };
  const html = (state: OwnForecast): string =>
    renderToStaticMarkup(<OwnForecastView session={session as unknown as SessionDetail} state={state} />);

  test("what the signature is for, and a button", () => {
    const shown = html(stateOf(known));
    expect(shown).toContain("the signature only gives reading, for this account, for a day");
    expect(shown).toMatch(/<button[^>]*>Show my forecast<\/button>/);
    expect(shown).not.toContain("disabled");
  });

  test("a rejection with the button still there", () => {
    const shown = html(stateOf({ ...known, asked: { isPending: false, error: walletError({ code: 4001 }) } }));
    expect(shown).toContain("You rejected the request");
    expect(shown).toContain("Show my forecast");
  });

  test("while the wallet is open there is no second request", () => {
    expect(html(stateOf({ ...known, asked: { isPending: true, error: null } }))).toMatch(/<button[^>]*disabled/);
  });

  test("the forecast itself", () => {
    expect(html({ at: "shown", forecast })).toContain("0.310 kWh flexible");
    expect(html({ at: "none" })).toContain("There is no forecast for this account");
  });
});

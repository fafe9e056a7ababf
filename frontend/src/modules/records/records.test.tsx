import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, test } from "vitest";
import type { Proposal, Replacements, SessionDetail } from "../../lib/resources";
import { ProposalsTable } from "./proposals-table";
import { ReplacementsTable } from "./replacements-table";

const session = {
  id: 7,
  state: "Delivering",
  mode: "block",
  day: 17_358,
  zone: { id: 1, offset_seconds: -28_800, interval_minutes: 60 },
  proposals: [] as readonly Proposal[],
} as SessionDetail;

const proposal = (account: number, given: Partial<Proposal>): Proposal => ({
  account,
  welfare: 402_000,
  volume_wh: 2_100,
  gap: null,
  best: false,
  accepted: false,
  inside_band: true,
  tx: `0x${String(account).padStart(64, "0")}`,
  ...given,
});

describe("proposals", () => {
  const shown = (proposals: readonly Proposal[]): string =>
    renderToStaticMarkup(<ProposalsTable session={{ ...session, proposals: [...proposals] }} />);

  test("are of block sessions only, and say when there are none", () => {
    expect(renderToStaticMarkup(<ProposalsTable session={{ ...session, mode: "competitive" }} />)).toBe("");
    expect(shown([])).toContain("Nothing is proposed before the gate closes.");
  });

  test("tell who was outbid, who is ahead, what may be missing and what the guard would say", () => {
    const page = shown([proposal(3, {}), proposal(4, { best: true, gap: 0.0013, inside_band: false })]);
    const [, first = "", second = ""] = page.split("<tbody>")[1]?.split("<tr>") ?? [];
    expect(first).toContain("Account 3");
    expect(first).toContain("Outbid");
    expect(first).not.toContain("Outside the band");
    expect(second).toContain("Best so far");
    expect(second).toContain("0.1%");
    expect(second).toContain("Outside the band");
    expect(shown([proposal(4, { best: true, accepted: true })])).toContain("Accepted");
  });
});

describe("replacements", () => {
  const shown = (data: Replacements): string => {
    const client = new QueryClient();
    client.setQueryData(["session", session.id, "replacements"], data);
    return renderToStaticMarkup(
      <QueryClientProvider client={client}>
        <ReplacementsTable session={session} />
      </QueryClientProvider>,
    );
  };
  const member = { account: 1, label: "home-03", intervals: [17, 18], needed: 2, replaceable: true };

  test("are not spoken of where nobody fails", () => {
    expect(shown({ items: [], failing: [] })).toBe("");
  });

  test("name members, reserves, hours, cost and why", () => {
    const made = { account: 1, label: "home-03", reserve: 2, reserve_label: null, intervals: [20], extra: 33_750 };
    const page = shown({ items: [{ ...made, consented: false }], failing: [member] });
    expect(page).toContain("home-03 fails");
    expect(page).toContain("17:00");
    expect(page).toContain("Account 2");
    expect(page).toContain("20:00");
    expect(page).toContain("0.0338");
    expect(page).toContain("proven failures");
    expect(shown({ items: [{ ...made, consented: true }], failing: [] })).toContain("agreed");
    expect(shown({ items: [], failing: [{ ...member, needed: null, replaceable: false }] })).toContain("with its consent only");
  });
});

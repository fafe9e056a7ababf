/** What the simulated clock offers while a session goes on, and once it has ended, rendered to plain HTML. */
import { QueryClientProvider } from "@tanstack/react-query";
import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, test } from "vitest";
import { makeQueryClient } from "../../lib/queries";
import type { Session, SessionDetail, SessionState } from "../../lib/resources";
import { SimulatedClock } from "./simulated-clock";

function shown(state: SessionState, others: readonly Pick<Session, "id" | "state">[] = []): string {
  const session = { id: 1, state, zone: { offset_seconds: 0 } } as SessionDetail;
  const client = makeQueryClient();
  client.setQueryData(["sessions"], { items: [...others, session] });
  return renderToStaticMarkup(
    <QueryClientProvider client={client}>
      <SimulatedClock session={session} />
    </QueryClientProvider>,
  );
}

describe("the simulated clock", () => {
  test("moves a session on that goes on", () => {
    const html = shown("Cleared");
    expect(html).toContain("Move it on");
    expect(html.match(/<button/g)).toHaveLength(4);
    expect(html.match(/disabled=""/g)).toHaveLength(1);
  });

  test.each(["Settled", "Cancelled"] as const)("says of a session that is %s that it has ended, and leads to the open one", (state) => {
    const html = shown(state, [{ id: 5, state: "Scheduled" }, { id: 4, state: "Open" }]);
    expect(html).toContain(`This session has ended: it was ${state.toLowerCase()}.`);
    expect(html).not.toContain("<button");
    expect(html).not.toContain("Move it on");
    expect(html).toContain('href="#/sessions/4"');
    expect(shown(state)).not.toContain("href");
  });
});

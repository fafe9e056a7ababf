/** Where an order of the log stands, and what became of a participant: small readings of the API's rows. */
import type { OrderRow, Session, SessionState } from "./resources";
import { sum } from "./units";

export type Standing =
  | "pending"
  | "failed"
  | "live"
  | "closed"
  | "filled"
  | "partly"
  | "unfilled"
  | "replaced"
  | "cancelled"
  | "cancellation";

/**
 * An order's standing among `all` of its session in `state`: an entry that is not live was replaced or cancelled by the
 * next of its account and side; one that is live is closed with the gate, and its fills tell what became of it once no
 * review can change them any more.
 */
export function standingOf(row: OrderRow, all: readonly OrderRow[], state: SessionState): Standing {
  if (row.status !== "confirmed") return row.status;
  if (row.cancels) return "cancellation";
  if (row.live) return standingOfLive(row, state);
  const next = all
    .filter(
      (o) =>
        o.account === row.account &&
        o.side === row.side &&
        o.status === "confirmed" &&
        (o.position ?? -1) > (row.position ?? -1),
    )
    .sort((a, b) => (a.position ?? 0) - (b.position ?? 0))[0];
  return next?.cancels === true ? "cancelled" : "replaced";
}

function standingOfLive(row: OrderRow, state: SessionState): Standing {
  if (takesOrders(state)) return "live";
  if (state === "Cancelled") return "unfilled";
  if (row.fills === null || state === "UnderReview") return "closed";
  const filled = sum(row.fills);
  return filled === 0 ? "unfilled" : filled < quantityOf(row) ? "partly" : "filled";
}

/** Wh of an order, over all steps and intervals. */
export const quantityOf = (row: OrderRow): number => sum(row.steps.flatMap((step) => step.quantities));

/** The states that a session passes, in order, given where it is. */
export function pathOf(state: SessionState): readonly SessionState[] {
  if (state === "Cancelled") return ["Scheduled", "Open", "Closed", "Cancelled"];
  if (state === "UnderReview") return ["Scheduled", "Open", "Closed", "UnderReview", "Delivering", "Settling", "Settled"];
  return ["Scheduled", "Open", "Closed", "Cleared", "Delivering", "Settling", "Settled"];
}

/** Orders are entered now or will be: nothing has been decided. */
export const takesOrders = (state: SessionState): boolean => state === "Scheduled" || state === "Open";

/** Nothing changes any more. */
export const isFinal = (state: SessionState): boolean => state === "Settled" || state === "Cancelled";

export const stateName = (state: SessionState): string => (state === "UnderReview" ? "Under review" : state);

/** The session that the page opens with: the newest open one, else the newest. `sessions` come newest first. */
export const defaultSession = (sessions: readonly Session[]): Session | undefined =>
  sessions.find((s) => s.state === "Open") ?? sessions[0];

/** What an address asks for: `#/` the session that is open, `#/sessions/2`, `#/alerts`; anything else is no page. */
export type Place =
  | { readonly at: "start" }
  | { readonly at: "session"; readonly id: number }
  | { readonly at: "alerts" }
  | { readonly at: "nowhere" };

export function placeOf(hash: string): Place {
  if (["", "#", "#/"].includes(hash)) return { at: "start" };
  if (hash === "#/alerts") return { at: "alerts" };
  const match = /^#\/sessions\/(\d{1,9})$/.exec(hash);
  return match === null ? { at: "nowhere" } : { at: "session", id: Number(match[1]) };
}

/** The address of a session's page. */
export const sessionHref = (id: number): string => `#/sessions/${id}`;

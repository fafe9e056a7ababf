/** Where an order of the log stands, and what became of a participant: small readings of the API's rows. */
import type { OrderRow, Session, SessionState } from "./resources";

export type Standing = "pending" | "failed" | "live" | "replaced" | "cancelled" | "cancellation";

/**
 * An order's standing among `all` of its session: an entry that is not live was replaced or cancelled by the next of its
 * account and side.
 */
export function standingOf(row: OrderRow, all: readonly OrderRow[]): Standing {
  if (row.status !== "confirmed") return row.status;
  if (row.cancels) return "cancellation";
  if (row.live) return "live";
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

/** The states that a session passes, in order, given where it is. */
export function pathOf(state: SessionState): readonly SessionState[] {
  if (state === "Cancelled") return ["Scheduled", "Open", "Closed", "Cancelled"];
  if (state === "UnderReview") return ["Scheduled", "Open", "Closed", "UnderReview", "Delivering", "Settling", "Settled"];
  return ["Scheduled", "Open", "Closed", "Cleared", "Delivering", "Settling", "Settled"];
}

/** Nothing changes any more. */
export const isFinal = (state: SessionState): boolean => state === "Settled" || state === "Cancelled";

export const stateName = (state: SessionState): string => (state === "UnderReview" ? "Under review" : state);

/** The session that the page opens with: the newest open one, else the newest. `sessions` come newest first. */
export const defaultSession = (sessions: readonly Session[]): Session | undefined =>
  sessions.find((s) => s.state === "Open") ?? sessions[0];

/** The session number in an address such as `#/sessions/2`. */
export function sessionInHash(hash: string): number | null {
  const match = /^#\/sessions\/(\d{1,9})$/.exec(hash);
  return match === null ? null : Number(match[1]);
}

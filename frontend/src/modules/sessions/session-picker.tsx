/** The row of trading sessions, newest first, and the short way between the open one and the settled day. */
import { useEffect, useRef } from "react";
import { formats } from "../../lib/format";
import type { Session } from "../../lib/resources";
import { sessionHref } from "../../lib/standing";
import { rangeLabel, dateText } from "../../lib/time";
import { StateBadge } from "../ui/parts";

export function SessionPicker({ sessions, current }: { sessions: readonly Session[]; current: number }) {
  const here = sessions.find((s) => s.id === current);
  const settled = sessions.find((s) => s.state === "Settled");
  const open = sessions.find((s) => s.state === "Open");
  const selected = useRef<HTMLAnchorElement>(null);
  useEffect(() => {
    const chip = selected.current;
    const row = chip?.parentElement?.parentElement;
    if (chip != null && row != null) row.scrollLeft = chip.offsetLeft - row.offsetLeft - 16;
  }, [current]);
  return (
    <nav className="picker" aria-label="Trading sessions">
      <div className="picker-head">
        <h2>Trading sessions</h2>
        <div className="picker-ways">
          {open !== undefined && here?.id !== open.id && (
            <a className="button button-small" href={sessionHref(open.id)}>
              Trade in the open session
            </a>
          )}
          {settled !== undefined && here?.state !== "Settled" && (
            <a className="button button-small" href={sessionHref(settled.id)}>
              See a settled day, proofs and all
            </a>
          )}
        </div>
      </div>
      <ul className="picker-row">
        {sessions.map((s) => (
          <li key={s.id}>
            <a
              href={sessionHref(s.id)}
              className="session-chip"
              aria-current={s.id === current ? "page" : undefined}
              ref={s.id === current ? selected : null}
            >
              <span className="session-chip-top">
                <span className={`arrow arrow-${s.direction.toLowerCase()}`} aria-hidden="true">
                  {s.direction === "UP" ? "↑" : "↓"}
                </span>
                <span className="session-chip-name">
                  Session {s.id} <span className="visually-hidden">, {s.direction === "UP" ? "upward" : "downward"}</span>
                </span>
                <StateBadge state={s.state} />
              </span>
              <span className="session-chip-when">
                {dateText(s.date, formats.dateLocale, "short")} ·{" "}
                {rangeLabel(s.zone, s.intervals[0] ?? 0, s.intervals.at(-1) ?? 0)}
              </span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

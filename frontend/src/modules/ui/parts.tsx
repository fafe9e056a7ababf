/** Small shared parts: sections, badges, times, hashes, scrolling tables. */
import { type ReactNode, useId } from "react";
import { formats, shortHex } from "../../lib/format";
import type { SessionState } from "../../lib/resources";
import { stateName } from "../../lib/standing";
import { instantText, intervalLabel, intervalStart, offsetName, utcText, type Zone } from "../../lib/time";

export function Section({
  title,
  aside,
  lead,
  className = "",
  children,
}: {
  title: string;
  aside?: ReactNode;
  lead?: ReactNode;
  className?: string;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section className={`card ${className}`} aria-labelledby={id}>
      <div className="card-head">
        <h2 id={id}>{title}</h2>
        {aside !== undefined && <div className="card-aside">{aside}</div>}
      </div>
      {lead !== undefined && <p className="lead">{lead}</p>}
      {children}
    </section>
  );
}

export type BadgeTone = "neutral" | "good" | "warn" | "bad" | "active" | "bid" | "offer";

export function Badge({ tone = "neutral", children }: { tone?: BadgeTone; children: ReactNode }) {
  return <span className={`badge badge-${tone}`}>{children}</span>;
}

const STATE_TONES: Record<SessionState, BadgeTone> = {
  Scheduled: "neutral",
  Open: "active",
  Closed: "neutral",
  Cleared: "bid",
  UnderReview: "warn",
  Delivering: "bid",
  Settling: "bid",
  Settled: "good",
  Cancelled: "bad",
};

export function StateBadge({ state }: { state: SessionState }) {
  return <Badge tone={STATE_TONES[state]}>{stateName(state)}</Badge>;
}

/** An instant in standard time, its UTC in the tooltip. */
export function Moment({ iso, offset, parts }: { iso: string; offset: number; parts?: "time" | "short" | "full" }) {
  return (
    <time dateTime={iso} title={utcText(Date.parse(iso))}>
      {instantText(iso, offset, formats.dateLocale, parts)}
    </time>
  );
}

/** "17:00–18:00", with the same in UTC in the tooltip. */
export function Interval({ zone, day, t, last = t }: { zone: Zone; day: number; t: number; last?: number }) {
  const from = intervalStart(zone, day, t);
  const to = intervalStart(zone, day, last + 1);
  const start = intervalLabel(zone, t).split("–")[0] ?? "";
  const end = intervalLabel(zone, last).split("–")[1] ?? "";
  return (
    <time dateTime={new Date(from).toISOString()} title={`${utcText(from)} to ${utcText(to)}`}>
      {start}–{end}
    </time>
  );
}

export const zoneClock = (zone: Zone): string => `standard time ${offsetName(zone.offset_seconds)}`;

export function Hash({ value, label }: { value: string | null; label: string }) {
  if (value === null) return <span className="muted">–</span>;
  return (
    <code className="hash" title={value} aria-label={`${label} ${value}`} role="img">
      {shortHex(value)}
    </code>
  );
}

/** A table that scrolls sideways inside its own frame, reachable by keyboard. */
export function TableFrame({ label, testId, children }: { label: string; testId?: string; children: ReactNode }) {
  return (
    <div className="table-frame" role="region" aria-label={label} tabIndex={0} data-testid={testId}>
      {children}
    </div>
  );
}

export function Unit({ children }: { children: ReactNode }) {
  return <span className="unit"> {children}</span>;
}

/** Intervals and instants in a zone's fixed standard time (docs/protocol.md section 2). Local time exists only here. */

export interface Zone {
  readonly offset_seconds: number;
  readonly interval_minutes: number;
}

const DAY_MS = 86_400_000;

/** Start of interval `t` of `day` (days since 1970 in the zone's standard time), as milliseconds of Unix time. */
export const intervalStart = (zone: Zone, day: number, t: number): number =>
  day * DAY_MS - zone.offset_seconds * 1000 + t * zone.interval_minutes * 60_000;

const two = (value: number): string => String(value).padStart(2, "0");

/** Hours and minutes of `t` minutes after midnight, "24:00" at the end of the day. */
const clock = (minutes: number): string => `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;

/** "17:00" for the start of interval `t`, standard time. */
export const startLabel = (zone: Zone, t: number): string => clock(t * zone.interval_minutes);

/** "17:00–18:00" for interval `t`, standard time. */
export const intervalLabel = (zone: Zone, t: number): string => rangeLabel(zone, t, t);

/** "17:00–21:00" for intervals `first` to `last`, both included. */
export const rangeLabel = (zone: Zone, first: number, last: number): string =>
  `${clock(first * zone.interval_minutes)}–${clock((last + 1) * zone.interval_minutes)}`;

/** "UTC+1" or "UTC-3:30". */
export function offsetName(offsetSeconds: number): string {
  if (offsetSeconds === 0) return "UTC";
  const minutes = Math.abs(offsetSeconds) / 60;
  const rest = minutes % 60;
  return `UTC${offsetSeconds < 0 ? "-" : "+"}${Math.floor(minutes / 60)}${rest === 0 ? "" : `:${two(rest)}`}`;
}

/** Ascending intervals as runs without a gap: [17, 18, 20] is [[17, 18], [20, 20]]. */
export function runs(intervals: readonly number[]): (readonly [number, number])[] {
  const found: [number, number][] = [];
  for (const t of intervals) {
    const last = found.at(-1);
    if (last !== undefined && last[1] === t - 1) last[1] = t;
    else found.push([t, t]);
  }
  return found;
}

/** A calendar date, "Tue, 18 July 2017" in the reader's language, from "2017-07-18". */
export const dateText = (date: string, locale: string, style: "long" | "short" = "long"): string =>
  new Intl.DateTimeFormat(locale, {
    timeZone: "UTC",
    weekday: "short",
    day: "numeric",
    month: style === "long" ? "long" : "short",
    ...(style === "long" ? { year: "numeric" } : {}),
  }).format(new Date(`${date}T00:00:00Z`));

/** An instant in standard time at `offsetSeconds`, in the reader's language: day, month, hours and minutes. */
export function instantText(
  iso: string,
  offsetSeconds: number,
  locale: string,
  parts: "time" | "short" | "full" = "short",
): string {
  const shown: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (parts !== "time") Object.assign(shown, { day: "numeric", month: "short" });
  if (parts === "full") Object.assign(shown, { year: "numeric", second: "2-digit" });
  return new Intl.DateTimeFormat(locale, { ...shown, timeZone: "UTC" }).format(
    new Date(Date.parse(iso) + offsetSeconds * 1000),
  );
}

/** "2017-07-18 15:00 UTC". */
export const utcText = (ms: number): string => `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;

/** A duration in its two largest units: "2 d 3 h", "14 min", "under a minute". */
export function durationText(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 1) return "under a minute";
  const days = Math.floor(minutes / 1440);
  const hours = Math.floor((minutes % 1440) / 60);
  const rest = minutes % 60;
  if (days > 0) return hours > 0 ? `${days} d ${hours} h` : `${days} d`;
  if (hours > 0) return rest > 0 ? `${hours} h ${rest} min` : `${hours} h`;
  return `${rest} min`;
}

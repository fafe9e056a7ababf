/** What a session is: its terms in plain words, and where it stands on its way from Scheduled to Settled. */
import { formats } from "../../lib/format";
import type { SessionDetail, SessionState } from "../../lib/resources";
import { pathOf, stateName, takesOrders } from "../../lib/standing";
import { dateText, durationText, runs } from "../../lib/time";
import { Interval, Moment, StateBadge, Unit, zoneClock } from "../ui/parts";

const DIRECTIONS = {
  UP: {
    title: "Upward regulation",
    sentence: "The grid needs relief: members sell a reduction, drawing less than their baseline or feeding in more.",
  },
  DOWN: {
    title: "Downward regulation",
    sentence: "There is too much energy: members sell an increase, drawing more than their baseline or feeding in less.",
  },
} as const;

const MODES = {
  competitive: "One price per interval, at which the largest volume clears.",
  cooperative: "The largest volume that suits everybody, its surplus shared equally.",
  block: "Blocks over several intervals, filled by one ratio each; anyone may propose a better result.",
  request: "One buyer's profile, met by a coalition of members that agreed to it.",
} as const;

export function SessionSummary({ session, now }: { session: SessionDetail; now: string | null }) {
  const { zone } = session;
  const direction = DIRECTIONS[session.direction];
  return (
    <section className="card summary" aria-labelledby="session-title">
      <div className="summary-head">
        <div>
          <p className="eyebrow">
            Session {session.id} · {session.kind} · {session.mode}
          </p>
          <h1 id="session-title">
            <span className={`arrow arrow-big arrow-${session.direction.toLowerCase()}`} aria-hidden="true">
              {session.direction === "UP" ? "↑" : "↓"}
            </span>
            {direction.title}, {dateText(session.date, formats.dateLocale)}
          </h1>
          <p className="lead">
            {direction.sentence} {MODES[session.mode]}
          </p>
        </div>
        <div className="summary-state" data-testid="session-state">
          <StateBadge state={session.state} />
        </div>
      </div>
      <Timeline session={session} now={now} />
      <dl className="facts">
        <div className="facts-wide">
          <dt>Delivery</dt>
          <dd>
            {runs(session.intervals).map(([first, last], i) => (
              <span key={first}>
                {i > 0 && ", "}
                <Interval zone={zone} day={session.day} t={first} last={last} />
              </span>
            ))}
            <small>
              {session.intervals.length} {session.intervals.length === 1 ? "interval" : "intervals"} of {zone.interval_minutes}{" "}
              min, {zoneClock(zone)}, without daylight saving
            </small>
          </dd>
        </div>
        <div>
          <dt>Price cap</dt>
          <dd>
            {formats.priceNumber(session.price_cap)}
            <Unit>EUR/kWh</Unit>
          </dd>
        </div>
        <div>
          <dt>Minimum per interval</dt>
          <dd>
            {formats.kwh(session.min_quantity_wh)}
            <Unit>kWh</Unit>
          </dd>
        </div>
        <div>
          <dt>Sellers' collateral</dt>
          <dd>
            {formats.percent(session.collateral_ppm)}
            <small>of quantity at the cap</small>
          </dd>
        </div>
        {(session.fee_ppm > 0 || session.intake_fee > 0) && (
          <div>
            <dt>Fees</dt>
            <dd>
              {session.fee_ppm > 0 && (
                <>
                  {formats.percent(session.fee_ppm)}
                  <small>of what sellers earn, to account {session.fee_account}</small>
                </>
              )}
              {session.intake_fee > 0 && (
                <small>
                  {formats.money(session.intake_fee)} an entry of the log, to whoever has it cleared
                </small>
              )}
            </dd>
          </div>
        )}
        <div>
          <dt>{takesOrders(session.state) ? "Live orders" : "Orders at the gate's close"}</dt>
          <dd>
            {formats.integer(session.orders)}
            <small>{formats.integer(session.entries)} entries</small>
          </dd>
        </div>
        <div>
          <dt>Cleared volume</dt>
          <dd>
            {session.volume_wh === null ? (
              "–"
            ) : (
              <>
                {formats.kwh(session.volume_wh)}
                <Unit>kWh</Unit>
              </>
            )}
          </dd>
        </div>
        {session.proofs.expected > 0 && (
          <div>
            <dt>Deliveries proven</dt>
            <dd>
              {session.proofs.verified}
              <Unit>of {session.proofs.expected}</Unit>
            </dd>
          </div>
        )}
      </dl>
    </section>
  );
}

function Timeline({ session, now }: { session: SessionDetail; now: string | null }) {
  const path = pathOf(session.state);
  const reached = path.indexOf(session.state);
  const offset = session.zone.offset_seconds;
  const settledAt = session.transactions.filter((t) => t.kind === "settle").at(-1)?.time ?? null;
  const clearedAt = session.transactions.find((t) => t.kind === "clear")?.time ?? null;
  const caption = (state: SessionState) => {
    switch (state) {
      case "Scheduled":
        return (
          <>
            until <Moment iso={session.gate_open} offset={offset} />
          </>
        );
      case "Open":
        return (
          <>
            until <Moment iso={session.gate_close} offset={offset} />
          </>
        );
      case "Closed":
        return clearedAt === null ? (
          <>
            clears by <Moment iso={session.delivery_start} offset={offset} parts="time" />
          </>
        ) : (
          <>gate closed</>
        );
      case "Cleared":
      case "UnderReview":
        return clearedAt === null ? (
          <>
            by <Moment iso={session.delivery_start} offset={offset} parts="time" />
          </>
        ) : (
          <Moment iso={clearedAt} offset={offset} />
        );
      case "Delivering":
        return (
          <Interval zone={session.zone} day={session.day} t={session.intervals[0] ?? 0} last={session.intervals.at(-1) ?? 0} />
        );
      case "Settling":
        return (
          <>
            proofs by <Moment iso={session.proof_deadline} offset={offset} />
          </>
        );
      case "Settled":
        return settledAt === null ? <>after proofs</> : <Moment iso={settledAt} offset={offset} />;
      case "Cancelled":
        return <>locks are released</>;
    }
  };
  const left = session.state === "Open" && now !== null ? Date.parse(session.gate_close) - Date.parse(now) : 0;
  return (
    <>
      <ol className="timeline" aria-label="States of the session">
        {path.map((state, i) => (
          <li
            key={state}
            className={i < reached || session.state === "Settled" ? "done" : i === reached ? "here" : "ahead"}
            aria-current={i === reached ? "step" : undefined}
          >
            <span className="timeline-dot" aria-hidden="true" />
            <span className="timeline-name">{stateName(state)}</span>
            <span className="timeline-time">{caption(state)}</span>
          </li>
        ))}
      </ol>
      {left > 0 && <p className="countdown">The gate closes in {durationText(left)} of chain time.</p>}
    </>
  );
}

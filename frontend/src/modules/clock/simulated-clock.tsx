/** Moves the simulated clock of a development chain to a session's next moments; the server does all that is due on the way. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { api } from "../../lib/api";
import { useSessions } from "../../lib/queries";
import type { AdvanceTarget, SessionDetail, SessionState } from "../../lib/resources";
import { SESSION_STATES } from "../../lib/resources";
import { isFinal, sessionHref } from "../../lib/standing";
import { Problem } from "../ui/feedback";
import { Moment, Section } from "../ui/parts";

const TARGETS: readonly { to: AdvanceTarget; name: string; running: string; until: SessionState }[] = [
  { to: "gate_open", name: "To gate opening", running: "Opening the gate…", until: "Open" },
  { to: "gate_close", name: "To gate close", running: "Closing the gate and clearing…", until: "Closed" },
  { to: "delivery_start", name: "To delivery start", running: "Moving on to the delivery…", until: "Delivering" },
  { to: "delivery_end", name: "To delivery end", running: "Metering the delivery…", until: "Settling" },
  { to: "settled", name: "Until settled", running: "Proving and settling; this takes a while…", until: "Settled" },
];

const order = (state: SessionState): number => SESSION_STATES.indexOf(state);

export function SimulatedClock({ session }: { session: SessionDetail }) {
  const client = useQueryClient();
  const advance = useMutation({
    mutationFn: (to: AdvanceTarget) => api.advance(to, session.id),
    onSettled: () => client.invalidateQueries(),
  });
  const running = TARGETS.find((target) => target.to === advance.variables);
  const ended = isFinal(session.state);
  return (
    <Section
      title="Simulated clock"
      className="clock"
      lead={
        ended
          ? `This chain's time is simulated. This session has ended: it was ${session.state.toLowerCase()}.`
          : "This chain's time is simulated. Move it on and watch the session go its way."
      }
    >
      {ended ? (
        <OpenSession />
      ) : (
        <div className="clock-buttons">
          {TARGETS.filter(({ to }) => to !== "gate_open" || session.state === "Scheduled").map(({ to, name, until }) => (
            <button
              key={to}
              type="button"
              className="button"
              disabled={advance.isPending || order(session.state) >= order(until)}
              onClick={() => advance.mutate(to)}
            >
              {name}
            </button>
          ))}
        </div>
      )}
      {advance.isPending && (
        <div className="clock-running">
          <progress aria-label="Moving the clock on" />
          <p role="status">{running?.running}</p>
        </div>
      )}
      {advance.isError && <Problem error={advance.error} />}
      {advance.isSuccess && (
        <div role="status" className="clock-done">
          <p>
            It is now <Moment iso={advance.data.time} offset={session.zone.offset_seconds} parts="short" />.
          </p>
          <ul>
            {advance.data.done.map((line, i) => (
              <li key={i}>{line}</li>
            ))}
          </ul>
        </div>
      )}
    </Section>
  );
}

/** Where the clock can still be moved on for: the newest open session. */
function OpenSession() {
  const open = useSessions().data?.items.find((session) => session.state === "Open");
  if (open === undefined) return null;
  return (
    <a className="button" href={sessionHref(open.id)}>
      To session {open.id}, which is open
    </a>
  );
}

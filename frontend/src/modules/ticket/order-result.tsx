/** What became of the order that was signed last: sending, waiting for the chain, confirmed or refused. */
import { useEffect, useRef } from "react";
import { ApiError } from "../../lib/api";
import { formats } from "../../lib/format";
import { Problem } from "../ui/feedback";
import { Hash } from "../ui/parts";
import { type Origin, type Review, useSigning } from "./signing";

const named = (review: Review): string => (review.cancels ? `cancellation of your ${review.side}` : review.side);

export function OrderResult({ origin }: { origin: Origin }) {
  const { phase, resend, dismiss } = useSigning();
  const frame = useRef<HTMLDivElement>(null);
  const stage = phase.at === "sent" ? phase.sent.status : phase.at;
  useEffect(() => {
    // Newer browsers give a promise back here, which must not become the effect's result.
    void frame.current?.scrollIntoView({ block: "nearest" });
  }, [stage]);
  if (phase.at === "idle" || phase.at === "review" || phase.review.origin !== origin) return null;
  const { review } = phase;
  return (
    <div ref={frame} className="order-result" data-testid="order-result">
      {phase.at === "sending" && (
        <div className="note note-info" role="status">
          <progress aria-label="Sending" /> Signed. Sending your {named(review)}…
        </div>
      )}
      {phase.at === "unsent" && (
        <>
          <Problem error={phase.error} />
          <div className="row">
            {/* No answer may mean that it arrived: the same signature again cannot enter it twice. */}
            {phase.error instanceof ApiError && (phase.error.status === 0 || phase.error.status >= 500) && (
              <button type="button" className="button button-small" onClick={resend}>
                Send the same signature again
              </button>
            )}
            <button type="button" className="button button-small" onClick={dismiss}>
              Close
            </button>
          </div>
        </>
      )}
      {phase.at === "sent" && phase.sent.status === "pending" && (
        <div className="note note-info" role="status">
          <progress aria-label="Waiting for the chain" /> Sent. Waiting for the chain to take your {named(review)}…
          {phase.error !== null && <p className="hint">Its state could not be read just now; trying again.</p>}
        </div>
      )}
      {phase.at === "sent" && phase.sent.status === "failed" && (
        <div className="note note-bad" role="alert">
          <p className="note-title">Your {named(review)} was refused</p>
          <p>{phase.sent.message ?? "The contract did not take it. Nothing is locked."}</p>
          <button type="button" className="button button-small" onClick={dismiss}>
            Close
          </button>
        </div>
      )}
      {phase.at === "sent" && phase.sent.status === "confirmed" && (
        <div className="note note-good" role="status">
          <p className="note-title">
            <span aria-hidden="true">✓ </span>
            {review.cancels ? `Your ${review.side} is cancelled` : `Your ${review.side} is confirmed on the chain`}
          </p>
          <p>
            {review.cancels
              ? "What it locked comes back when the session clears."
              : `${formats.money(review.lock)} are locked.`}
            {phase.sent.positions !== null && phase.sent.positions.length > 0 && (
              <> Position {phase.sent.positions.join(", ")} of the log.</>
            )}{" "}
            {phase.sent.tx !== null && (
              <>
                Transaction <Hash value={phase.sent.tx} label="Transaction" />.
              </>
            )}
          </p>
          {phase.sent.message !== null && <p>{phase.sent.message}</p>}
          <button type="button" className="button button-small" onClick={dismiss}>
            Close
          </button>
        </div>
      )}
    </div>
  );
}

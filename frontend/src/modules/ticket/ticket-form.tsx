/** The form of one order: quantities and limits per interval, up to four steps, checked while it is typed. */
import { type FormEvent, useId, useRef, useState } from "react";
import {
  checkDraft,
  type Draft,
  fieldKey,
  prefill,
  type Terms,
  withField,
  withFlexible,
  withLimit,
  withoutStep,
  withStep,
} from "../../lib/draft";
import { MAX_STEPS, type Side } from "../../lib/encoding";
import { formats } from "../../lib/format";
import type { Account, BookInterval, SessionDetail } from "../../lib/resources";
import { intervalLabel, startLabel } from "../../lib/time";
import { Interval } from "../ui/parts";
import { useMember } from "../account/member";
import { useSigning } from "./signing";

interface Props {
  session: SessionDetail;
  account: Account;
  side: Side;
  /** The forecast's flexible energy, null until it is there; the form does not wait for it. */
  flexible: readonly number[] | null;
  book: readonly BookInterval[];
  /** Position of the account's live order on this side, which this one would replace. */
  replaces: number | null;
}

export function TicketForm({ session, account, side, flexible, book, replaces }: Props) {
  const { agent } = useMember();
  const terms: Terms = {
    account: account.index,
    hasMeter: account.meter === "bound",
    available: account.available,
    agent: agent === null ? null : { account: agent.index, available: agent.available },
    envelope: session.mode === "cooperative" ? account.envelope_wh : null,
    intakeFee: session.intake_fee,
    labels: session.intervals.map((t) => intervalLabel(session.zone, t)),
    minQuantity: session.min_quantity_wh,
    priceCap: session.price_cap,
    collateralPpm: session.collateral_ppm,
    open: session.state === "Open",
    blocks: session.mode === "block",
  };
  // Only the first forecast and book fill the form in, and the forecast only while no quantity is typed: what is being
  // typed does not move under the hand.
  const [draft, setDraft] = useState<Draft>(() => prefill(side, session.intervals, flexible, book, terms, formats));
  const [filled, setFilled] = useState(flexible !== null);
  if (!filled && flexible !== null) {
    setFilled(true);
    setDraft(withFlexible(draft, flexible, terms, formats));
  }
  const [tried, setTried] = useState(false);
  const { begin, busy } = useSigning();
  const check = checkDraft(draft, terms, formats);
  const problems = useRef<HTMLDivElement>(null);
  const shown = tried ? check.issues : check.issues.filter((issue) => issue.field !== "order");

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setTried(true);
    if (check.order === null) setTimeout(() => problems.current?.focus());
    else begin(check.order, "ticket", replaces);
  };

  return (
    <form className="stack" data-testid="order-form" onSubmit={submit} noValidate aria-label={`New ${side}`}>
      {draft.steps.map((_, k) => (
        <StepFields key={k} session={session} draft={draft} step={k} issues={check.issues} change={setDraft} />
      ))}
      {terms.blocks ? (
        <MinFill
          value={draft.minFill ?? ""}
          issue={check.issues.find((issue) => issue.field === "minFill")}
          change={(minFill) => setDraft({ ...draft, minFill })}
        />
      ) : (
        <div className="row">
          {draft.steps.length < MAX_STEPS && (
            <button type="button" className="button button-small" onClick={() => setDraft(withStep(draft))}>
              Add a step
            </button>
          )}
          <p className="hint">A step adds quantity at another limit; an order has up to {MAX_STEPS}.</p>
        </div>
      )}
      {side === "offer" && !terms.blocks && (
        <label className="check">
          <input
            type="checkbox"
            checked={draft.reserve === true}
            onChange={(event) => setDraft({ ...draft, reserve: event.target.checked })}
          />
          <span>Hold what is not filled in reserve: it may take the place of a member that fails</span>
        </label>
      )}
      {agent !== null && (
        <label className="check">
          <input
            type="checkbox"
            checked={draft.agentPays === true}
            onChange={(event) => setDraft({ ...draft, agentPays: event.target.checked })}
          />
          <span>Account {agent.index}, which acts for this one, pays and is paid</span>
        </label>
      )}
      <LockLine
        session={session}
        side={side}
        lock={check.lock}
        available={agent !== null && draft.agentPays === true ? agent.available : account.available}
      />
      {replaces !== null && (
        <p className="hint">
          This replaces your live {side} at position {replaces}.
        </p>
      )}
      {shown.length > 0 && (
        <div className="note note-bad" role="status" ref={problems} tabIndex={-1}>
          <p className="note-title">{shown.length === 1 ? "One thing to put right" : `${shown.length} things to put right`}</p>
          <ul>
            {shown.slice(0, 6).map((issue) => (
              <li key={issue.field}>{issue.message}</li>
            ))}
            {shown.length > 6 && <li>and {shown.length - 6} more</li>}
          </ul>
        </div>
      )}
      <button type="submit" className={`button button-wide button-${side}`} data-testid="review-order" disabled={busy}>
        Review the {side}
      </button>
    </form>
  );
}

interface MinFillProps {
  value: string;
  issue: { message: string } | undefined;
  change: (value: string) => void;
}

/** The least part of a block that is of any use to who enters it. */
function MinFill({ value, issue, change }: MinFillProps) {
  const id = useId();
  return (
    <div className="all-limits">
      <label htmlFor={id}>Fill nothing, or at least, %</label>
      <input
        id={id}
        type="text"
        inputMode="decimal"
        autoComplete="off"
        placeholder="0"
        aria-invalid={issue !== undefined}
        aria-describedby={`${id}-hint`}
        data-testid="min-fill"
        value={value}
        onChange={(event) => change(event.target.value)}
      />
      <p className="hint" id={`${id}-hint`}>
        The same part of every interval is filled; 100 means all or nothing.
      </p>
    </div>
  );
}

interface StepProps {
  session: SessionDetail;
  draft: Draft;
  step: number;
  issues: readonly { field: string; message: string }[];
  change: (draft: Draft) => void;
}

function StepFields({ session, draft, step, issues, change }: StepProps) {
  const [all, setAll] = useState("");
  const id = useId();
  const row = draft.steps[step];
  if (row === undefined) return null;
  const several = draft.steps.length > 1;
  const broken = (key: string): boolean => issues.some((issue) => issue.field === key);
  const limitName = draft.side === "offer" ? "At least" : "At most";
  return (
    <fieldset className="step">
      <legend>{several ? `Step ${step + 1}` : "Quantities and limits"}</legend>
      {several && (
        <button
          type="button"
          className="button button-quiet button-small step-remove"
          onClick={() => change(withoutStep(draft, step))}
        >
          Remove<span className="visually-hidden"> step {step + 1}</span>
        </button>
      )}
      <div className="step-grid" role="presentation">
        <span className="step-head">Interval</span>
        <span className="step-head num">Quantity, kWh</span>
        <span className="step-head num">{limitName}, EUR/kWh</span>
        {session.intervals.map((t, j) => {
          const quantityKey = fieldKey(step, "quantities", j);
          const limitKey = fieldKey(step, "limits", j);
          const from = `from ${startLabel(session.zone, t)}${several ? `, step ${step + 1}` : ""}`;
          return (
            <div key={t} className="step-row">
              <span className="step-label">
                <Interval zone={session.zone} day={session.day} t={t} />
              </span>
              <input
                type="text"
                inputMode="decimal"
                autoComplete="off"
                placeholder="0"
                aria-label={`Quantity ${from}, kWh`}
                aria-invalid={broken(quantityKey)}
                data-testid={`quantity-${step}-${t}`}
                value={row.quantities[j] ?? ""}
                onChange={(event) => change(withField(draft, step, "quantities", j, event.target.value))}
              />
              <input
                type="text"
                inputMode="decimal"
                autoComplete="off"
                aria-label={`Limit ${from}, EUR per kWh`}
                aria-invalid={broken(limitKey)}
                data-testid={`limit-${step}-${t}`}
                value={row.limits[j] ?? ""}
                onChange={(event) => change(withField(draft, step, "limits", j, event.target.value))}
              />
            </div>
          );
        })}
      </div>
      {session.intervals.length > 1 && (
        <div className="all-limits">
          <label htmlFor={id}>One limit for all</label>
          <input
            id={id}
            type="text"
            inputMode="decimal"
            autoComplete="off"
            value={all}
            onChange={(event) => setAll(event.target.value)}
            placeholder={formats.input(Math.floor(session.price_cap / 2), 6)}
          />
          <button
            type="button"
            className="button button-small"
            disabled={all.trim() === ""}
            onClick={() => change(withLimit(draft, step, all))}
          >
            Apply
          </button>
        </div>
      )}
    </fieldset>
  );
}

function LockLine({
  session,
  side,
  lock,
  available,
}: {
  session: SessionDetail;
  side: Side;
  lock: bigint | null;
  available: number;
}) {
  const enough = lock === null || lock + BigInt(session.intake_fee) <= BigInt(available);
  return (
    <div className={`lock ${enough ? "" : "lock-short"}`}>
      <p className="lock-amount">
        <span>Will be locked</span>
        <strong data-testid="order-lock" title={lock === null ? undefined : formats.exactMoney(lock)}>
          {lock === null ? "–" : formats.money(lock)}
        </strong>
      </p>
      <p className="hint">
        {side === "offer"
          ? `Collateral: ${formats.percent(session.collateral_ppm)} of the quantity at the cap of ${formats.price(session.price_cap)}, rounded up.`
          : "The most you could pay: every quantity at its limit, rounded up."}{" "}
        {session.intake_fee > 0 && `Entering it costs ${formats.money(session.intake_fee)} besides. `}
        {formats.money(available)} available.
      </p>
    </div>
  );
}

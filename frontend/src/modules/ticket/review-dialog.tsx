/** What is about to be signed, in plain words read back from the very words that go to the wallet, and the words themselves. */
import { Fragment } from "react";
import { decodeEntries, payerOf, type ScheduleOrder, wordHex } from "../../lib/encoding";
import { formats } from "../../lib/format";
import type { SessionDetail } from "../../lib/resources";
import { dateText } from "../../lib/time";
import { digestOf, orderBatchMessage } from "../../lib/typed-data";
import { sum } from "../../lib/units";
import type { Wallet } from "../../lib/wallet";
import { useMember } from "../account/member";
import { Dialog } from "../ui/dialog";
import { Note, Problem } from "../ui/feedback";
import { Interval, Moment, TableFrame, zoneClock } from "../ui/parts";
import type { Review } from "./signing";

interface Props {
  session: SessionDetail;
  review: Review;
  wallet: Wallet;
  signing: boolean;
  error: unknown;
  close: () => void;
  sign: () => void;
}

export function ReviewDialog({ session, review, wallet, signing, error, close, sign }: Props) {
  const { account } = useMember();
  const [entry] = decodeEntries(review.batch.words, review.intervals);
  const order = entry?.order;
  const title = review.cancels ? `Cancel your ${review.side}?` : `Review your ${review.side}`;
  return (
    <Dialog title={title} close={close}>
      <p>
        You sign an order for <strong>session {session.id}</strong>, {session.direction === "UP" ? "upward" : "downward"}{" "}
        regulation on <strong>{dateText(session.date, formats.dateLocale)}</strong>, as{" "}
        <strong>{account?.label ?? `Account ${order?.account ?? ""}`}</strong> (account {order?.account}).
        {order !== undefined && order.agent !== 0 && <> You act for it with account {order.agent}.</>}
      </p>
      {order !== undefined && (review.cancels ? <Cancels review={review} /> : <Schedule session={session} order={order} />)}
      {!review.cancels && entry !== undefined && (
        <p className="review-lock">
          <span>
            You sign that this is locked until the session clears{entry.order.side === "offer" && " and it is delivered"}
            {entry.order.agentPays && `, of account ${payerOf(entry.order)}`}
          </span>
          <strong data-testid="signed-lock" title={formats.exactMoney(entry.lock)}>
            {formats.money(entry.lock)}
          </strong>
        </p>
      )}
      {session.mode === "block" && order !== undefined && !review.cancels && (
        <Note>
          One ratio fills all its intervals: none, or at least {formats.percent(order.minFillPpm)} of it.
        </Note>
      )}
      {order?.reserve === true && (
        <Note>
          What is not filled stays locked until the delivery ends: it may take the place of a member that fails, at no less than
          your limit.
        </Note>
      )}
      {session.intake_fee > 0 && (
        <p className="hint">
          Entering it costs {formats.money(session.intake_fee)} besides; that comes back if the session is cancelled.
        </p>
      )}
      {!review.cancels && review.replaces !== null && (
        <Note tone="warn">
          It replaces your live {review.side} at position {review.replaces}. The lock of that one stays until the session
          clears.
        </Note>
      )}
      <p className="hint">
        The signature is good once, for this order and this market only, until the gate closes at{" "}
        <Moment iso={session.gate_close} offset={session.zone.offset_seconds} />.
      </p>
      <Words review={review} />
      {error !== null && <Problem error={error} />}
      <div className="dialog-actions">
        <button type="button" className="button" onClick={close}>
          {review.cancels ? "Keep the order" : "Back"}
        </button>
        <button type="button" className="button button-primary" data-testid="sign-and-send" disabled={signing} onClick={sign}>
          {signing ? `Waiting for ${wallet.name}…` : review.cancels ? "Sign and cancel" : "Sign and send"}
        </button>
      </div>
    </Dialog>
  );
}

function Cancels({ review }: { review: Review }) {
  return (
    <p>
      Your live {review.side}
      {review.replaces !== null && <> at position {review.replaces}</>} is withdrawn: it fills nothing and promises nothing.
      What it locked comes back when the session clears. The order stays in the log, marked as cancelled.
    </p>
  );
}

function Schedule({ session, order }: { session: SessionDetail; order: ScheduleOrder }) {
  const total = sum(order.steps.flatMap((step) => step.quantities));
  const verb = order.side === "offer" ? "sell" : "buy";
  return (
    <>
      <p>
        You {verb} up to <strong>{formats.energy(total)}</strong> of flexibility
        {order.side === "offer" ? ", each at its limit or more:" : ", each at its limit or less:"}
      </p>
      <TableFrame label="The order, interval by interval">
        <table>
          <caption className="visually-hidden">The order, interval by interval</caption>
          <thead>
            <tr>
              <th scope="col">Interval</th>
              {order.steps.map((_, k) => (
                <Fragment key={k}>
                  <th scope="col" className="num">
                    {order.steps.length > 1 ? `Step ${k + 1}, kWh` : "Quantity, kWh"}
                  </th>
                  <th scope="col" className="num">
                    {order.side === "offer" ? "At least" : "At most"}, EUR/kWh
                  </th>
                </Fragment>
              ))}
            </tr>
          </thead>
          <tbody>
            {session.intervals.map((t, j) => (
              <tr key={t}>
                <th scope="row">
                  <Interval zone={session.zone} day={session.day} t={t} />
                </th>
                {order.steps.map((step, k) => {
                  const quantity = step.quantities[j] ?? 0;
                  return (
                    <Fragment key={k}>
                      <td className="num">{quantity === 0 ? <span className="muted">–</span> : formats.kwh(quantity)}</td>
                      <td className="num">
                        {quantity === 0 ? <span className="muted">–</span> : formats.priceNumber(step.limits[j] ?? 0)}
                      </td>
                    </Fragment>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
      <p className="hint">Intervals in {zoneClock(session.zone)}.</p>
    </>
  );
}

function Words({ review }: { review: Review }) {
  const { batch } = review;
  return (
    <details className="words">
      <summary>The EIP-712 message, word for word</summary>
      <dl>
        <dt>Domain</dt>
        <dd>
          Wattproof, version 1, chain {batch.chainId}, contract <code>{batch.market}</code>
        </dd>
        <dt>Type</dt>
        <dd>
          <code>OrderBatch(uint256 session,uint256[] words,uint256 nonce,uint256 counter,uint256 deadline)</code>
        </dd>
        <dt>session</dt>
        <dd>
          <code>{batch.session}</code>
        </dd>
        <dt>words</dt>
        <dd>
          <ol className="word-list">
            {batch.words.map((word, i) => (
              <li key={i}>
                <code>{wordHex(word)}</code>
              </li>
            ))}
          </ol>
        </dd>
        <dt>nonce</dt>
        <dd>
          <code>{batch.nonce.toString()}</code>
        </dd>
        <dt>counter</dt>
        <dd>
          <code>{batch.counter.toString()}</code>
        </dd>
        <dt>deadline</dt>
        <dd>
          <code>{batch.deadline}</code>
        </dd>
        <dt>Digest signed</dt>
        <dd>
          <code>{digestOf(orderBatchMessage(batch))}</code>
        </dd>
      </dl>
    </details>
  );
}

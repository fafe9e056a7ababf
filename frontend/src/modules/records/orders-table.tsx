/**
 * Every schedule order of the session's log: who, how much, at what limit, what became of it; the own live ones can be
 * cancelled.
 */
import { formats } from "../../lib/format";
import { useOrders } from "../../lib/queries";
import { accountName, type OrderRow, type SessionDetail } from "../../lib/resources";
import { quantityOf, type Standing, standingOf } from "../../lib/standing";
import { sum } from "../../lib/units";
import { useMember } from "../account/member";
import { OrderResult } from "../ticket/order-result";
import { useSigning } from "../ticket/signing";
import { Empty, Loaded } from "../ui/feedback";
import { Badge, type BadgeTone, Hash, Interval, Section, TableFrame } from "../ui/parts";
import { ExpandableRow } from "./expandable";

const STANDINGS: Record<Standing, { tone: BadgeTone; name: string }> = {
  pending: { tone: "warn", name: "Pending" },
  failed: { tone: "bad", name: "Failed" },
  live: { tone: "good", name: "Live" },
  closed: { tone: "neutral", name: "Closed" },
  filled: { tone: "good", name: "Filled" },
  partly: { tone: "good", name: "Partly filled" },
  unfilled: { tone: "neutral", name: "Not filled" },
  replaced: { tone: "neutral", name: "Replaced" },
  cancelled: { tone: "neutral", name: "Cancelled" },
  cancellation: { tone: "neutral", name: "Cancellation" },
};

/** What plays no part in the result, or none yet to be seen. */
const FADED: ReadonlySet<Standing> = new Set(["failed", "unfilled", "replaced", "cancelled", "cancellation"]);

const COLUMNS = 8;

/** The limits of an order's entries as one price or a range. */
function limitRange(row: OrderRow): string {
  const limits = row.steps.flatMap((step) => step.limits.filter((_, j) => (step.quantities[j] ?? 0) > 0));
  if (limits.length === 0) return "–";
  const low = Math.min(...limits);
  const high = Math.max(...limits);
  return low === high ? formats.priceNumber(low) : `${formats.priceNumber(low)} to ${formats.priceNumber(high)}`;
}

export function OrdersTable({ session }: { session: SessionDetail }) {
  const orders = useOrders(session.id, session.state);
  return (
    <Section
      title="Orders"
      lead="The whole log, in the order in which the chain took it. A later order of the same account and side replaces the earlier one."
    >
      <OrderResult origin="orders" />
      <div data-testid="orders-table">
        <Loaded query={orders} label="orders">
          {({ items }) =>
            items.length === 0 ? (
              <Empty>No orders yet.</Empty>
            ) : (
              <>
                {session.state === "Open" && <OwnOrders items={items} />}
                <Rows session={session} items={items} />
              </>
            )
          }
        </Loaded>
      </div>
    </Section>
  );
}

/** The connected account's live orders, to be taken back: above the table, whose columns they would push out of sight. */
function OwnOrders({ items }: { items: readonly OrderRow[] }) {
  const { account, agent } = useMember();
  const { beginCancellation, busy } = useSigning();
  const own = items.filter(
    (row) => row.account === account?.index && row.live && !row.cancels && row.status === "confirmed",
  );
  return own.map((row) => (
    <div key={row.position} className="own-order row">
      <p>
        Your live {row.side} <span className="muted">#{row.position}</span>: {formats.energy(quantityOf(row))} at{" "}
        {limitRange(row)} EUR/kWh
      </p>
      <button
        type="button"
        className="button button-small"
        disabled={busy}
        onClick={() =>
          beginCancellation(
            {
              account: row.account,
              side: row.side,
              agent: agent?.index ?? 0,
              agentPays: agent !== null && row.payer === agent.index,
            },
            row.position,
          )
        }
      >
        Cancel this {row.side}
      </button>
    </div>
  ));
}

function Rows({ session, items }: { session: SessionDetail; items: readonly OrderRow[] }) {
  const { account } = useMember();
  const filled = items.some((row) => row.fills !== null);
  return (
    <TableFrame label="Orders of the session">
      <table>
        <caption className="visually-hidden">Orders of the session</caption>
        <thead>
          <tr>
            <th scope="col">Account</th>
            <th scope="col">Side</th>
            <th scope="col" className="num">
              Quantity, kWh
            </th>
            <th scope="col" className="num">
              Limit, EUR/kWh
            </th>
            <th scope="col">State</th>
            {filled && (
              <th scope="col" className="num">
                Filled, kWh
              </th>
            )}
            <th scope="col" className="num">
              Lock
            </th>
            <th scope="col">Transaction</th>
          </tr>
        </thead>
        <tbody>
          {items.map((row, i) => {
            const standing = standingOf(row, items, session.state);
            const { tone, name } = STANDINGS[standing];
            const mine = account !== null && row.account === account.index;
            return (
              <ExpandableRow
                key={row.position ?? `unplaced-${i}`}
                className={`${mine ? "mine" : ""} ${FADED.has(standing) ? "faded" : ""}`}
                columns={filled ? COLUMNS : COLUMNS - 1}
                label={`Quantities of ${accountName(row)}, position ${row.position ?? "open"}`}
                head={
                  <>
                    {accountName(row)}
                    <span className="row-notes">
                      {mine && <span className="tag">you</span>}
                      {row.reserve && <span className="tag">reserve</span>}
                      {row.payer !== row.account && <small className="muted">paid by account {row.payer}</small>}
                      <small className="muted">#{row.position ?? "…"}</small>
                    </span>
                  </>
                }
                cells={
                  <>
                    <td>
                      <Badge tone={row.side}>{row.side === "bid" ? "Bid" : "Offer"}</Badge>
                    </td>
                    <td className="num">{formats.kwh(quantityOf(row))}</td>
                    <td className="num wrap">{limitRange(row)}</td>
                    <td>
                      <Badge tone={tone}>{name}</Badge>
                    </td>
                    {filled && (
                      <td className="num">
                        {row.fills === null ? <span className="muted">–</span> : formats.kwh(sum(row.fills))}
                      </td>
                    )}
                    <td className="num" title={formats.exactMoney(row.lock)}>
                      {formats.amount(row.lock)}
                    </td>
                    <td>
                      <Hash value={row.tx} label="Transaction" />
                    </td>
                  </>
                }
                details={() => <OrderDetails session={session} row={row} />}
              />
            );
          })}
        </tbody>
      </table>
    </TableFrame>
  );
}

function OrderDetails({ session, row }: { session: SessionDetail; row: OrderRow }) {
  return (
    <table className="inner">
      <thead>
        <tr>
          <th scope="col">Interval</th>
          {row.steps.map((_, k) => (
            <th key={k} scope="col" className="num">
              {row.steps.length > 1 ? `Step ${k + 1}` : "Quantity at limit"}
            </th>
          ))}
          <th scope="col" className="num">
            Filled, kWh
          </th>
        </tr>
      </thead>
      <tbody>
        {session.intervals.map((t, j) => (
          <tr key={t}>
            <th scope="row">
              <Interval zone={session.zone} day={session.day} t={t} />
            </th>
            {row.steps.map((step, k) => {
              const quantity = step.quantities[j] ?? 0;
              return (
                <td key={k} className="num">
                  {quantity === 0 ? (
                    <span className="muted">–</span>
                  ) : (
                    `${formats.energy(quantity)} at ${formats.priceNumber(step.limits[j] ?? 0)}`
                  )}
                </td>
              );
            })}
            <td className="num">{row.fills === null ? <span className="muted">–</span> : formats.kwh(row.fills[j] ?? 0)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

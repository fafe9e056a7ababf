/** Statements: what each participant earned, forfeited, paid and got back, and the sums of the session's settlement. */
import { formats } from "../../lib/format";
import { useStatements } from "../../lib/queries";
import { accountName, type SessionDetail, type Settlement, type Statement } from "../../lib/resources";
import { useMember } from "../account/member";
import { Empty, Loaded } from "../ui/feedback";
import { Badge, Interval, Section, TableFrame } from "../ui/parts";
import { ExpandableRow } from "./expandable";

const COLUMNS = 7;

export function StatementsTable({ session }: { session: SessionDetail }) {
  const statements = useStatements(session.id, session.state);
  return (
    <Section
      title="Statements"
      lead="What sellers are paid is what buyers pay. What is not delivered goes back to the buyers, together with the penalty."
      aside={session.settlement === null ? undefined : <BalancedMark settlement={session.settlement} />}
    >
      {session.settlement !== null && <Sums settlement={session.settlement} />}
      <div data-testid="statements-table">
        <Loaded query={statements} label="statements">
          {({ items }) =>
            items.length === 0 ? (
              <Empty>Statements are written when the session settles.</Empty>
            ) : (
              <Rows session={session} items={items} />
            )
          }
        </Loaded>
      </div>
    </Section>
  );
}

function BalancedMark({ settlement }: { settlement: Settlement }) {
  return settlement.balanced ? (
    <Badge tone="good">
      <span aria-hidden="true">✓ </span>Balances to zero
    </Badge>
  ) : (
    <Badge tone="bad">Does not balance</Badge>
  );
}

function Sums({ settlement }: { settlement: Settlement }) {
  const sums = [
    ["Rewards paid", settlement.rewards],
    ["Penalties taken", settlement.penalties],
    ...(settlement.replacements > 0 ? [["Paid for replacements", settlement.replacements] as const] : []),
    ["Refunds to buyers", settlement.refunds],
    ...(settlement.fees > 0 ? [["Fee on rewards", settlement.fees] as const] : []),
    ...(settlement.intake_fees > 0 ? [["Intake fees", settlement.intake_fees] as const] : []),
    ["Rounding left over", settlement.rounding],
  ] as const;
  return (
    <dl className="facts facts-sums">
      {sums.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd title={formats.exactMoney(value)}>
            {name === "Rounding left over" ? formats.exactMoney(value) : formats.money(value)}
          </dd>
        </div>
      ))}
    </dl>
  );
}

const Money = ({ value }: { value: number }) =>
  value === 0 ? <span className="muted">–</span> : <span title={formats.exactMoney(value)}>{formats.amount(value)}</span>;

function Rows({ session, items }: { session: SessionDetail; items: readonly Statement[] }) {
  const { account } = useMember();
  return (
    <TableFrame label="Statements of the participants">
      <table>
        <caption className="visually-hidden">Statements of the participants</caption>
        <thead>
          <tr>
            <th scope="col">Account</th>
            <th scope="col">Role</th>
            <th scope="col" className="num">
              Earned
            </th>
            <th scope="col" className="num">
              Penalty
            </th>
            <th scope="col" className="num">
              Cost
            </th>
            <th scope="col" className="num">
              Refund
            </th>
            <th scope="col" className="num">
              Net
            </th>
          </tr>
        </thead>
        <tbody>
          {items.map((row) => {
            const mine = account !== null && row.account === account.index;
            return (
              <ExpandableRow
                key={`${row.account}-${row.role}`}
                className={mine ? "mine" : ""}
                columns={COLUMNS}
                label={`Lines of ${accountName(row)}`}
                head={
                  <>
                    {accountName(row)}
                    {mine && <span className="tag">you</span>}
                    {row.payer !== row.account && <small className="muted">paid by account {row.payer}</small>}
                  </>
                }
                cells={
                  <>
                    <td>
                      <Badge tone={row.role === "seller" ? "offer" : "bid"}>{row.role === "seller" ? "Seller" : "Buyer"}</Badge>
                      {!row.final && <span className="provisional"> provisional</span>}
                    </td>
                    <td className="num">
                      <Money value={row.earned} />
                      {row.fee > 0 && <small className="muted">less a fee of {formats.amount(row.fee)}</small>}
                    </td>
                    <td className={`num ${row.penalty > 0 ? "short" : ""}`}>
                      <Money value={row.penalty} />
                    </td>
                    <td className="num">
                      <Money value={row.cost} />
                    </td>
                    <td className="num">
                      <Money value={row.refund} />
                    </td>
                    <td className="num" title={formats.exactMoney(row.net)}>
                      <strong>{formats.signedAmount(row.net)}</strong>
                    </td>
                  </>
                }
                details={() => <Lines session={session} row={row} />}
              />
            );
          })}
        </tbody>
      </table>
    </TableFrame>
  );
}

function Lines({ session, row }: { session: SessionDetail; row: Statement }) {
  const seller = row.role === "seller";
  const amount = (value: number | null) => (value === null ? <span className="muted">–</span> : formats.exactMoney(value));
  if (row.lines.length === 0) return <Empty>No interval of this account cleared.</Empty>;
  return (
    <table className="inner">
      <thead>
        <tr>
          <th scope="col">Interval</th>
          <th scope="col" className="num">
            {seller ? "Promised" : "Bought"}, kWh
          </th>
          <th scope="col" className="num">
            Price, EUR/kWh
          </th>
          {seller && (
            <>
              <th scope="col" className="num">
                Delivered, kWh
              </th>
              <th scope="col" className="num">
                Delivered share
              </th>
              <th scope="col" className="num">
                Paid share
              </th>
              <th scope="col" className="num">
                Earned
              </th>
              <th scope="col" className="num">
                Unpaid
              </th>
              <th scope="col" className="num">
                Penalty
              </th>
            </>
          )}
          {!seller && (
            <th scope="col" className="num">
              Refund
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {row.lines.map((line) => (
          <tr key={line.interval}>
            <th scope="row">
              <Interval zone={session.zone} day={session.day} t={line.interval} />
            </th>
            <td className="num">{formats.kwh(line.fill_wh)}</td>
            <td className="num">{line.price === null ? "–" : formats.priceNumber(line.price)}</td>
            {seller && (
              <>
                <td className="num">{line.delivered_wh === null ? "–" : formats.kwh(line.delivered_wh)}</td>
                <td className="num">{line.ratio_ppm === null ? "–" : formats.percent(line.ratio_ppm)}</td>
                <td className="num">{line.paid_ppm === null ? "–" : formats.percent(line.paid_ppm)}</td>
                <td className="num">{amount(line.earned)}</td>
                <td className="num">{amount(line.unpaid)}</td>
                <td className="num">{amount(line.penalty)}</td>
              </>
            )}
            {!seller && <td className="num">{amount(line.refund)}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

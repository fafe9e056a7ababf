/** The session's transactions on the chain, with what each cost in gas. */
import { formats } from "../../lib/format";
import type { SessionDetail } from "../../lib/resources";
import { sum } from "../../lib/units";
import { Empty } from "../ui/feedback";
import { Hash, Moment, Section, TableFrame } from "../ui/parts";

const KINDS: Record<string, string> = {
  open: "Session opened",
  orders: "Orders entered",
  clear: "Clearing checked",
  commit: "Promises written",
  prove: "Deliveries verified",
  replace: "Reserve called",
  settle: "Balances credited",
};

export function Transactions({ session }: { session: SessionDetail }) {
  const rows = session.transactions;
  return (
    <Section title="On the chain" lead="Everything above can be rebuilt from these transactions alone.">
      {rows.length === 0 ? (
        <Empty>No transactions yet.</Empty>
      ) : (
        <TableFrame label="Transactions of the session">
          <table>
            <caption className="visually-hidden">Transactions of the session</caption>
            <thead>
              <tr>
                <th scope="col">What</th>
                <th scope="col">Time</th>
                <th scope="col" className="num">
                  Block
                </th>
                <th scope="col" className="num">
                  Gas
                </th>
                <th scope="col">Transaction</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row, i) => (
                <tr key={`${row.hash}-${i}`}>
                  <th scope="row">{KINDS[row.kind] ?? row.kind}</th>
                  <td>
                    {row.time === null ? (
                      <span className="muted">–</span>
                    ) : (
                      <Moment iso={row.time} offset={session.zone.offset_seconds} parts="full" />
                    )}
                  </td>
                  <td className="num">{row.block === null ? "–" : formats.integer(row.block)}</td>
                  <td className="num">{row.gas === null ? "–" : formats.integer(row.gas)}</td>
                  <td>
                    <Hash value={row.hash} label="Transaction" />
                  </td>
                </tr>
              ))}
            </tbody>
            <tfoot>
              <tr>
                <th scope="row" colSpan={3}>
                  In all
                </th>
                <td className="num">
                  <strong>{formats.integer(sum(rows.map((row) => row.gas)))}</strong>
                </td>
                <td />
              </tr>
            </tfoot>
          </table>
        </TableFrame>
      )}
    </Section>
  );
}

/** Why each price is what it is: the orders at the margin, and the interval without each participant. */
import { useState } from "react";
import { formats } from "../../lib/format";
import { useExplanation, useOrders } from "../../lib/queries";
import type { ExplainedInterval, Explanation as Data, SessionDetail } from "../../lib/resources";
import { Badge, Section, TableFrame } from "../ui/parts";
import { Empty, Loaded } from "../ui/feedback";
import { IntervalChooser } from "./interval-chooser";

export type Names = (account: number) => string;

export function Explanation({ session }: { session: SessionDetail }) {
  const explanation = useExplanation(session.id, session.state);
  const orders = useOrders(session.id, session.state);
  const labels = new Map((orders.data?.items ?? []).map((row) => [row.account, row.label]));
  const names: Names = (account) => labels.get(account) ?? `Account ${account}`;
  return (
    <Section
      title="Explain this price"
      lead="The orders that set it, and what it would be if one participant had stayed away. Made from the public log; anybody can do the same."
    >
      <div data-testid="explanation">
        <Loaded query={explanation} label="the explanation">
          {(data) => <Explained session={session} data={data} names={names} />}
        </Loaded>
      </div>
    </Section>
  );
}

export function Explained({ session, data, names }: { session: SessionDetail; data: Data; names: Names }) {
  const first = data.intervals.find((row) => row.price !== null) ?? data.intervals[0];
  const [chosen, choose] = useState(first?.interval ?? 0);
  const row = data.intervals.find((found) => found.interval === chosen) ?? first;
  if (row === undefined) return <Empty>This session has no interval.</Empty>;
  return (
    <div className="stack">
      <IntervalChooser zone={session.zone} intervals={session.intervals} chosen={row.interval} choose={choose} />
      <p data-testid="explained-price">
        {row.price === null ? (
          "Nothing was traded: no bid reached an offer."
        ) : (
          <>
            <strong>{formats.price(row.price)}</strong> for {formats.energy(row.volume_wh)}. {margin(row, names)}
          </>
        )}
      </p>
      <WithoutTable row={row} names={names} />
      {data.participants_left_out > 0 && (
        <p className="muted">{formats.integer(data.participants_left_out)} participants who trade less are not listed.</p>
      )}
    </div>
  );
}

/** The sentence about the orders at the margin. */
function margin(row: ExplainedInterval, names: Names): string {
  const steps = row.marginal.map((m) => `the ${m.side} of ${names(m.account)} at ${formats.priceNumber(m.limit)}`);
  return steps.length === 0 ? "" : `At the margin: ${steps.join(", ")}.`;
}

function WithoutTable({ row, names }: { row: ExplainedInterval; names: Names }) {
  const matter = row.without.filter((other) => other.price !== row.price || other.volume_wh !== row.volume_wh);
  if (matter.length === 0) return <Empty>Nobody alone changes anything in this interval.</Empty>;
  return (
    <TableFrame label="The interval without each participant">
      <table>
        <caption className="visually-hidden">The interval without each participant</caption>
        <thead>
          <tr>
            <th scope="col">Without</th>
            <th scope="col" className="num">
              Price, EUR/kWh
            </th>
            <th scope="col" className="num">
              Volume, kWh
            </th>
            <th scope="col">So this participant</th>
          </tr>
        </thead>
        <tbody>
          {matter.map((other) => (
            <tr key={other.account}>
              <th scope="row">{names(other.account)}</th>
              <td className="num">
                {other.price === null ? <span className="no-trade">no trade</span> : formats.priceNumber(other.price)}
              </td>
              <td className="num">{formats.kwh(other.volume_wh)}</td>
              <td>
                <Effect price={row.price} other={other.price} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

function Effect({ price, other }: { price: number | null; other: number | null }) {
  if (price === null || other === null) return <Badge tone="neutral">makes the trade</Badge>;
  if (price === other) return <Badge tone="neutral">changes the volume</Badge>;
  return price > other ? <Badge tone="bid">raises the price</Badge> : <Badge tone="offer">lowers the price</Badge>;
}

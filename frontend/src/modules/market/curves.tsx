/** Supply and demand: the book of one interval as curves and as a table. */
import { useState } from "react";
import { formats } from "../../lib/format";
import { cumulative } from "../../lib/geometry";
import { useBook } from "../../lib/queries";
import type { Book, Level, SessionDetail } from "../../lib/resources";
import { intervalLabel } from "../../lib/time";
import { Empty, Loaded } from "../ui/feedback";
import { Section, TableFrame } from "../ui/parts";
import { CurvePlot } from "./curve-plot";
import { IntervalChooser } from "./interval-chooser";

export function Curves({ session }: { session: SessionDetail }) {
  const book = useBook(session.id, session.state);
  return (
    <Section
      title="Supply and demand"
      aside={
        <ul className="legend" aria-label="Legend">
          <li className="legend-bid">Bids buy</li>
          <li className="legend-offer">Offers sell</li>
        </ul>
      }
    >
      <Loaded query={book} label="the order book" lines={6}>
        {(data) => <OneInterval session={session} book={data} />}
      </Loaded>
    </Section>
  );
}

function OneInterval({ session, book }: { session: SessionDetail; book: Book }) {
  const busiest = [...session.cleared].sort((a, b) => b.volume_wh - a.volume_wh)[0]?.interval;
  const [picked, setPicked] = useState<number | null>(null);
  const chosen = picked !== null && session.intervals.includes(picked) ? picked : (busiest ?? session.intervals[0] ?? 0);
  const rows = book.intervals.find((row) => row.interval === chosen);
  const cleared = session.cleared.find((row) => row.interval === chosen);
  const label = intervalLabel(session.zone, chosen);
  const bids = rows?.bids ?? [];
  const offers = rows?.offers ?? [];
  return (
    <div className="stack">
      <IntervalChooser zone={session.zone} intervals={session.intervals} chosen={chosen} choose={setPicked} />
      {bids.length + offers.length === 0 ? (
        <Empty>Nobody bids or offers for {label} yet.</Empty>
      ) : (
        <>
          <CurvePlot
            bids={bids}
            offers={offers}
            price={cleared?.price ?? null}
            volume={cleared?.volume_wh ?? 0}
            label={label}
          />
          <p className="plot-caption">
            {cleared === undefined ? (
              <>The curves show live orders for {label}; the price is found after the gate closes.</>
            ) : cleared.price === null || cleared.volume_wh === 0 ? (
              <>
                <strong>No trade</strong> for {label}: no bid reaches an offer.
              </>
            ) : (
              <>
                {label} cleared <strong>{formats.energy(cleared.volume_wh)}</strong> at{" "}
                <strong>{formats.price(cleared.price)}</strong>
                {cleared.lo !== null && cleared.hi !== null && (
                  <>
                    , the middle of {formats.priceNumber(cleared.lo)} to {formats.priceNumber(cleared.hi)}
                  </>
                )}
                {cleared.share !== null && (
                  <> on average; every order is {formats.priceNumber(cleared.share)} EUR/kWh better off than its limit</>
                )}
                .
              </>
            )}
          </p>
          <details>
            <summary>The same as a table</summary>
            <div className="two">
              <LevelTable title={`Bids, ${label}`} levels={bids} />
              <LevelTable title={`Offers, ${label}`} levels={offers} />
            </div>
          </details>
        </>
      )}
    </div>
  );
}

function LevelTable({ title, levels }: { title: string; levels: readonly Level[] }) {
  return (
    <TableFrame label={title}>
      <table>
        <caption>{title}</caption>
        <thead>
          <tr>
            <th scope="col" className="num">
              EUR/kWh
            </th>
            <th scope="col" className="num">
              kWh
            </th>
            <th scope="col" className="num">
              kWh in all
            </th>
          </tr>
        </thead>
        <tbody>
          {cumulative(levels).map((row) => (
            <tr key={row.price}>
              <td className="num">{formats.priceNumber(row.price)}</td>
              <td className="num">{formats.kwh(row.quantity)}</td>
              <td className="num">{formats.kwh(row.total)}</td>
            </tr>
          ))}
          {levels.length === 0 && (
            <tr>
              <td colSpan={3} className="muted">
                none
              </td>
            </tr>
          )}
        </tbody>
      </table>
    </TableFrame>
  );
}

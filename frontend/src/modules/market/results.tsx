/** What cleared, interval by interval: price and volume as two aligned plots, and the table beside them. */
import { formats } from "../../lib/format";
import { scale, ticks } from "../../lib/geometry";
import type { ClearedInterval, SessionDetail } from "../../lib/resources";
import { intervalLabel, startLabel } from "../../lib/time";
import { Empty, Note } from "../ui/feedback";
import { Interval, Section, TableFrame } from "../ui/parts";
import { useWidth } from "../ui/use-width";

const traded = (row: ClearedInterval): row is ClearedInterval & { price: number } => row.price !== null && row.volume_wh > 0;

export function Results({ session }: { session: SessionDetail }) {
  const rows = session.cleared;
  const waiting =
    session.state === "Cancelled"
      ? "This session was cancelled. No price was found and every lock is released."
      : "Prices and volumes appear here once the session has cleared.";
  return (
    <Section title="Prices and volumes">
      {session.state === "UnderReview" && (
        <Note tone="warn">
          {session.outside.map((found) => (
            <span key={found.intervals.join()} data-testid="outside">
              {found.intervals.length === 1 ? "At " : "On average at "}
              <Interval
                zone={session.zone}
                day={session.day}
                t={found.intervals[0] ?? 0}
                last={found.intervals.at(-1) ?? 0}
              />{" "}
              the price is {formats.priceNumber(found.price)} EUR/kWh; prices like those of earlier sessions lie between{" "}
              {formats.priceNumber(found.low)} and {formats.priceNumber(found.high)}.{" "}
            </span>
          ))}
          A price unlike earlier ones is not traded before a guardian has looked at it: it releases the clearing, has it made
          again without some orders, or cancels the session. Undecided when the delivery starts, the session is cancelled and
          every lock goes back.
        </Note>
      )}
      {rows.length === 0 ? (
        <Empty>{waiting}</Empty>
      ) : (
        <div className="stack">
          <ResultPlot session={session} />
          <TableFrame label="Price and volume of each interval">
            <table>
              <caption className="visually-hidden">Price and volume of each interval</caption>
              <thead>
                <tr>
                  <th scope="col">Interval</th>
                  <th scope="col" className="num">
                    Price, EUR/kWh
                  </th>
                  <th scope="col" className="num">
                    {session.mode === "cooperative" ? "Better than its limit by" : "Possible range"}
                  </th>
                  <th scope="col" className="num">
                    Volume, kWh
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map((row) => (
                  <tr key={row.interval}>
                    <th scope="row">
                      <Interval zone={session.zone} day={session.day} t={row.interval} />
                    </th>
                    <td className="num" data-testid={`price-${row.interval}`}>
                      {traded(row) ? (
                        <strong>{formats.priceNumber(row.price)}</strong>
                      ) : (
                        <span className="no-trade">no trade</span>
                      )}
                    </td>
                    <td className="num muted wrap">
                      {traded(row) ? rangeText(row) : "–"}
                    </td>
                    <td className="num">{formats.kwh(row.volume_wh)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </TableFrame>
        </div>
      )}
    </Section>
  );
}

/** What is known beside the price: the range that clears the volume, or what every order of a cooperative session gains. */
function rangeText(row: ClearedInterval): string {
  if (row.share !== null) return formats.priceNumber(row.share);
  return row.lo === null || row.hi === null ? "–" : `${formats.priceNumber(row.lo)} to ${formats.priceNumber(row.hi)}`;
}

const LEFT = 58;
const RIGHT = 8;
const PRICE_TOP = 24;
const PRICE_BOTTOM = 138;
const VOLUME_TOP = 176;
const VOLUME_BOTTOM = 258;
const HEIGHT = 284;

function ResultPlot({ session }: { session: SessionDetail }) {
  const [frame, width] = useWidth();
  const rows = session.cleared;
  const tradedRows = rows.filter(traded);
  const highest = Math.max(
    1,
    ...tradedRows.map((row) => Math.min(row.hi ?? 0, session.price_cap)),
    ...tradedRows.map((row) => row.price),
  );
  const widest = Math.max(1, ...rows.map((row) => row.volume_wh));
  const prices = ticks(0, highest, 3);
  const volumes = ticks(0, widest, 2);
  const top = prices.at(-1) ?? highest;
  const fullest = volumes.at(-1) ?? widest;
  const y = scale(0, top, PRICE_BOTTOM, PRICE_TOP);
  const v = scale(0, fullest, VOLUME_BOTTOM, VOLUME_TOP);
  const band = (width - LEFT - RIGHT) / rows.length;
  const every = Math.max(1, Math.ceil(46 / band));
  const roomy = band >= 64;
  return (
    <div ref={frame} className="plot">
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={`Price and volume over ${rows.length} intervals; ${tradedRows.length} traded. The table below has the same numbers.`}
      >
        {prices.map((p) => (
          <g key={`p${p}`}>
            <line className="gridline" x1={LEFT} x2={width - RIGHT} y1={y(p)} y2={y(p)} />
            <text className="axis" x={LEFT - 8} y={y(p) + 4} textAnchor="end">
              {formats.axisPrice(p, top)}
            </text>
          </g>
        ))}
        {volumes.map((q) => (
          <g key={`v${q}`}>
            <line className="gridline" x1={LEFT} x2={width - RIGHT} y1={v(q)} y2={v(q)} />
            <text className="axis" x={LEFT - 8} y={v(q) + 4} textAnchor="end">
              {formats.axisEnergy(q, fullest)}
            </text>
          </g>
        ))}
        <text className="axis axis-title" x={0} y={12}>
          EUR/kWh
        </text>
        <text className="axis axis-title" x={0} y={VOLUME_TOP - 12}>
          kWh
        </text>
        {rows.map((row, i) => {
          const left = LEFT + i * band;
          const middle = left + band / 2;
          const inset = Math.min(band * 0.16, 12);
          return (
            <g key={row.interval}>
              {traded(row) ? (
                <>
                  {row.lo !== null && row.hi !== null && (
                    <rect
                      className="price-range"
                      x={left + inset}
                      width={band - 2 * inset}
                      y={y(Math.min(row.hi, top))}
                      height={Math.max(1, y(row.lo) - y(Math.min(row.hi, top)))}
                      rx={3}
                    />
                  )}
                  <line className="price-mark" x1={left + inset} x2={left + band - inset} y1={y(row.price)} y2={y(row.price)} />
                  {roomy && (
                    <text className="mark-label" x={middle} y={y(row.price) - 8} textAnchor="middle">
                      {formats.priceNumber(row.price)}
                    </text>
                  )}
                  <rect
                    className="volume"
                    x={left + inset}
                    width={band - 2 * inset}
                    y={v(row.volume_wh)}
                    height={Math.max(1, VOLUME_BOTTOM - v(row.volume_wh))}
                    rx={Math.min(3, band / 8)}
                  />
                </>
              ) : (
                <>
                  <rect
                    className="no-trade-band"
                    x={left + 2}
                    width={band - 4}
                    y={PRICE_TOP}
                    height={VOLUME_BOTTOM - PRICE_TOP}
                    rx={4}
                  />
                  <text
                    className="no-trade-text"
                    textAnchor="middle"
                    transform={`translate(${middle} ${(PRICE_TOP + VOLUME_BOTTOM) / 2})${roomy ? "" : " rotate(-90)"}`}
                    dy={4}
                  >
                    {band >= 12 ? "no trade" : ""}
                  </text>
                </>
              )}
              {i % every === 0 && (
                <text className="axis" x={middle} y={HEIGHT - 6} textAnchor="middle">
                  {roomy && band > 100 ? intervalLabel(session.zone, row.interval) : startLabel(session.zone, row.interval)}
                </text>
              )}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

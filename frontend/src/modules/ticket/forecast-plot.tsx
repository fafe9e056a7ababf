/** A member's forecast: the day's net load as a line with the delivery window shaded, and what could be flexible in it. */
import { formats } from "../../lib/format";
import { linePath, type Point, scale, ticks } from "../../lib/geometry";
import type { Forecast, SessionDetail } from "../../lib/resources";
import { intervalLabel, startLabel } from "../../lib/time";
import { sum } from "../../lib/units";
import { Interval, TableFrame } from "../ui/parts";
import { useWidth } from "../ui/use-width";

const HEIGHT = 132;
const LEFT = 34;
const TOP = 12;
const BOTTOM = 22;

export function ForecastPlot({ session, forecast }: { session: SessionDetail; forecast: Forecast }) {
  const [frame, width] = useWidth(320);
  const load = forecast.day.net_load_wh;
  const { zone } = session;
  const flexible = forecast.flexible_wh;
  const values = ticks(Math.min(0, ...load), Math.max(1, ...load), 3);
  const low = values[0] ?? 0;
  const high = values.at(-1) ?? 1;
  const x = scale(0, Math.max(load.length, 1), LEFT, width - 4);
  const y = scale(low, high, HEIGHT - BOTTOM, TOP);
  // A step line: net load is energy over an interval, not a value at an instant.
  const line: Point[] = load.flatMap((wh, t): Point[] => [
    [t, wh],
    [t + 1, wh],
  ]);
  const sign = session.direction === "UP" ? -1 : 1;
  const marks = [0, 0.25, 0.5, 0.75].map((share) => Math.round(share * load.length));
  const first = session.intervals[0] ?? 0;
  const last = session.intervals.at(-1) ?? 0;
  const text = `Forecast of net load over the day. ${formats.energy(sum(flexible))} flexible between ${startLabel(zone, first)} and ${intervalLabel(zone, last).split("–")[1] ?? ""}.`;
  return (
    <div className="forecast">
      <p className="forecast-head">
        <span>Your forecast</span>
        <strong>{formats.energy(sum(flexible))} flexible</strong>
      </p>
      <div ref={frame} className="plot">
        <svg width={width} height={HEIGHT} role="img" aria-label={text}>
          {values.map((wh) => (
            <g key={wh}>
              <line className="gridline" x1={LEFT} x2={width - 4} y1={y(wh)} y2={y(wh)} />
              <text className="axis" x={LEFT - 6} y={y(wh) + 4} textAnchor="end">
                {formats.axisEnergy(wh, Math.max(high, -low))}
              </text>
            </g>
          ))}
          {session.intervals.map((t, j) => {
            const from = load[t] ?? 0;
            const to = from + sign * (flexible[j] ?? 0);
            return (
              <g key={t}>
                <rect className="window" x={x(t)} width={x(t + 1) - x(t)} y={TOP} height={HEIGHT - BOTTOM - TOP} />
                <rect
                  className="flexible"
                  x={x(t) + 0.5}
                  width={Math.max(1, x(t + 1) - x(t) - 1)}
                  y={Math.max(TOP, Math.min(y(from), y(to)))}
                  height={Math.min(HEIGHT - BOTTOM, Math.max(y(from), y(to))) - Math.max(TOP, Math.min(y(from), y(to)))}
                />
              </g>
            );
          })}
          {load.length > 0 && <path className="load" d={linePath(line, x, y)} />}
          {marks.map((t) => (
            <text key={t} className="axis" x={x(t)} y={HEIGHT - 5} textAnchor="start">
              {startLabel(zone, t)}
            </text>
          ))}
        </svg>
      </div>
      <ul className="legend">
        <li className="legend-load">Net load, kWh</li>
        <li className="legend-flexible">Flexible</li>
      </ul>
      <details>
        <summary>The same as a table</summary>
        <TableFrame label="Forecast for the session's intervals">
          <table>
            <caption>{forecast.method}</caption>
            <thead>
              <tr>
                <th scope="col">Interval</th>
                <th scope="col" className="num">
                  Consumption, kWh
                </th>
                <th scope="col" className="num">
                  Production, kWh
                </th>
                <th scope="col" className="num">
                  Net load, kWh
                </th>
                <th scope="col" className="num">
                  Baseline, kWh
                </th>
                <th scope="col" className="num">
                  Flexible, kWh
                </th>
              </tr>
            </thead>
            <tbody>
              {session.intervals.map((t, j) => (
                <tr key={t}>
                  <th scope="row">
                    <Interval zone={zone} day={session.day} t={t} />
                  </th>
                  <td className="num">{formats.kwh(forecast.load_wh[j] ?? 0)}</td>
                  <td className="num">{formats.kwh(forecast.pv_wh[j] ?? 0)}</td>
                  <td className="num">{formats.kwh(forecast.net_load_wh[j] ?? 0)}</td>
                  <td className="num">{forecast.baseline_wh === null ? "–" : formats.kwh(forecast.baseline_wh[j] ?? 0)}</td>
                  <td className="num">{formats.kwh(flexible[j] ?? 0)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableFrame>
      </details>
    </div>
  );
}

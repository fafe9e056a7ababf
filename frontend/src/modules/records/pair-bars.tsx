/** Promised against delivered, interval by interval, as a plot small enough for a table cell. */
import { formats } from "../../lib/format";
import { scale } from "../../lib/geometry";
import { sum } from "../../lib/units";

const WIDTH = 176;
const HEIGHT = 46;

export function PairBars({
  promised,
  delivered,
  top,
}: {
  promised: readonly number[];
  delivered: readonly (number | null)[] | null;
  top: number;
}) {
  const values = delivered ?? [];
  const lowest = Math.min(0, ...values.map((d) => d ?? 0));
  const y = scale(lowest, Math.max(top, 1), HEIGHT - 1, 2);
  const band = WIDTH / Math.max(promised.length, 1);
  const gap = Math.min(3, band * 0.12);
  const label =
    delivered === null
      ? `Promised ${formats.energy(sum(promised))}, nothing measured yet`
      : `Promised ${formats.energy(sum(promised))}, delivered ${formats.energy(sum(delivered))}`;
  return (
    <svg className="pair-bars" width={WIDTH} height={HEIGHT} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {promised.map((p, j) => {
        const left = j * band + gap;
        const wide = band - 2 * gap;
        const got = values[j] ?? null;
        return (
          <g key={j}>
            {p > 0 && <rect className="promised" x={left} width={wide} y={y(p)} height={Math.max(0.5, y(0) - y(p))} rx={1.5} />}
            {got !== null && got !== 0 && (
              <rect
                className={got >= p ? "delivered" : "delivered-short"}
                x={left + wide * 0.22}
                width={wide * 0.56}
                y={Math.min(y(got), y(0))}
                height={Math.max(0.5, Math.abs(y(0) - y(got)))}
                rx={1}
              />
            )}
          </g>
        );
      })}
      <line className="baseline" x1={0} x2={WIDTH} y1={y(0)} y2={y(0)} />
    </svg>
  );
}

/** Demand and supply of one interval as step curves, with the cleared price and volume marked. Own SVG, at true pixel size. */
import { formats } from "../../lib/format";
import { type Level, linePath, type Point, scale, stepCurve, stepPath, ticks, totalQuantity, upTo } from "../../lib/geometry";
import { useWidth } from "../ui/use-width";

interface Props {
  bids: readonly Level[];
  offers: readonly Level[];
  price: number | null;
  volume: number;
  label: string;
}

const HEIGHT = 300;
const LEFT = 58;
const RIGHT = 14;
const TOP = 24;
const BOTTOM = 40;

export function CurvePlot({ bids, offers, price, volume, label }: Props) {
  const [frame, width] = useWidth();
  const highest = Math.max(1, ...bids.map((l) => l.price), ...offers.map((l) => l.price), price ?? 0);
  const widest = Math.max(1, totalQuantity(bids), totalQuantity(offers));
  const prices = ticks(0, highest * 1.08, 4);
  const quantities = ticks(0, widest, width < 480 ? 3 : 5);
  const top = prices.at(-1) ?? highest;
  const right = quantities.at(-1) ?? widest;
  const x = scale(0, right, LEFT, width - RIGHT);
  const y = scale(0, top, HEIGHT - BOTTOM, TOP);
  const demand = stepCurve(bids, 0);
  const supply = stepCurve(offers, top);
  const cleared = price !== null && volume > 0;
  const surplus: Point[] = cleared ? [...upTo(demand, volume), ...upTo(supply, volume).reverse()] : [];
  const sentence = cleared
    ? `${label}: clears ${formats.energy(volume)} at ${formats.price(price)}.`
    : `${label}: ${bids.length} bid and ${offers.length} offer steps, nothing cleared.`;
  return (
    <div ref={frame} className="plot">
      <svg
        width={width}
        height={HEIGHT}
        role="img"
        aria-label={`Demand and supply, ${sentence} The table below has the same numbers.`}
      >
        {prices.map((p) => (
          <g key={p}>
            <line className="gridline" x1={LEFT} x2={width - RIGHT} y1={y(p)} y2={y(p)} />
            <text className="axis" x={LEFT - 8} y={y(p) + 4} textAnchor="end">
              {formats.axisPrice(p, top)}
            </text>
          </g>
        ))}
        {quantities.map((q, i) => (
          <text
            key={q}
            className="axis"
            x={x(q)}
            y={HEIGHT - BOTTOM + 18}
            textAnchor={i === quantities.length - 1 ? "end" : "middle"}
          >
            {formats.axisEnergy(q, right)}
          </text>
        ))}
        <text className="axis axis-title" x={0} y={12}>
          EUR/kWh
        </text>
        <text className="axis axis-title" x={width - RIGHT} y={HEIGHT - 4} textAnchor="end">
          kWh
        </text>
        {surplus.length > 0 && <path className="surplus" d={`${linePath(surplus, x, y)}Z`} />}
        <path className="demand" d={stepPath(demand, x, y)} />
        <path className="supply" d={stepPath(supply, x, y)} />
        {cleared && (
          <g className="clearing">
            <line x1={LEFT} x2={x(volume)} y1={y(price)} y2={y(price)} />
            <line x1={x(volume)} x2={x(volume)} y1={y(price)} y2={HEIGHT - BOTTOM} />
            <circle cx={x(volume)} cy={y(price)} r={5.5} />
            {/* Above the plot, where no curve runs. */}
            <text x={width - RIGHT} y={13} textAnchor="end">
              {formats.price(price)} · {formats.energy(volume)}
            </text>
          </g>
        )}
      </svg>
    </div>
  );
}

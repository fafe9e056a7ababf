/** Geometry of the plots: step curves of a book, scales, round tick values. Pure numbers, no drawing. */

export interface Level {
  readonly price: number;
  readonly quantity_wh: number;
}

export type Point = readonly [quantity: number, price: number];

/**
 * A merit-order step curve as its corners. Levels come best first; each is a flat run at its price, risers join them.
 * The last riser goes to `end`: 0 for demand (nobody pays more), the plot's top for supply.
 */
export function stepCurve(levels: readonly Level[], end: number): Point[] {
  const corners: Point[] = [];
  let quantity = 0;
  for (const level of levels) {
    if (level.quantity_wh === 0) continue;
    corners.push([quantity, level.price]);
    quantity += level.quantity_wh;
    corners.push([quantity, level.price]);
  }
  if (corners.length > 0) corners.push([quantity, end]);
  return corners;
}

/** The part of a step curve from quantity 0 to `quantity`, cut inside a run where need be. */
export function upTo(curve: readonly Point[], quantity: number): Point[] {
  const kept: Point[] = [];
  for (const [q, p] of curve) {
    if (q >= quantity) {
      const run = kept.at(-1);
      if (run !== undefined) kept.push([quantity, run[1]]);
      return kept;
    }
    kept.push([q, p]);
  }
  return kept;
}

/** Levels of equal price joined, with the running total: what the table beside a curve shows. */
export function cumulative(levels: readonly Level[]): { price: number; quantity: number; total: number }[] {
  const rows: { price: number; quantity: number; total: number }[] = [];
  for (const level of levels) {
    const last = rows.at(-1);
    const total = (last?.total ?? 0) + level.quantity_wh;
    if (last !== undefined && last.price === level.price) {
      last.quantity += level.quantity_wh;
      last.total = total;
    } else rows.push({ price: level.price, quantity: level.quantity_wh, total });
  }
  return rows;
}

/**
 * The price at which two merit orders (best first) stop meeting: the middle between the last bid and the last offer that
 * still do. Null where none do. An indication while the gate is open, not the clearing.
 */
export function crossing(bids: readonly Level[], offers: readonly Level[]): number | null {
  let [i, j, bought, sold] = [0, 0, 0, 0];
  let price: number | null = null;
  for (;;) {
    const [bid, offer] = [bids[i], offers[j]];
    if (bid === undefined || offer === undefined || bid.price < offer.price) return price;
    price = Math.floor((bid.price + offer.price) / 2);
    const traded = Math.min(bid.quantity_wh - bought, offer.quantity_wh - sold);
    bought += traded;
    sold += traded;
    if (bought >= bid.quantity_wh) [i, bought] = [i + 1, 0];
    if (sold >= offer.quantity_wh) [j, sold] = [j + 1, 0];
  }
}

export const totalQuantity = (levels: readonly Level[]): number =>
  levels.reduce((total, level) => total + level.quantity_wh, 0);

export type Scale = (value: number) => number;

/** The straight map from [from, to] to [start, end]; everything to `start` where the domain is empty. */
export const scale =
  (from: number, to: number, start: number, end: number): Scale =>
  (value) =>
    to === from ? start : start + ((value - from) / (to - from)) * (end - start);

/** Corners as an SVG path of horizontal and vertical runs. */
export function stepPath(points: readonly Point[], x: Scale, y: Scale): string {
  const px = (value: number): string => (Math.round(value * 100) / 100).toString();
  return points.map(([q, p], i) => (i === 0 ? `M${px(x(q))} ${px(y(p))}` : `H${px(x(q))}V${px(y(p))}`)).join("");
}

/** Points as a straight-lined SVG path. */
export const linePath = (points: readonly Point[], x: Scale, y: Scale): string =>
  points.map(([a, b], i) => `${i === 0 ? "M" : "L"}${x(a).toFixed(2)} ${y(b).toFixed(2)}`).join("");

/** Round values from `low` to at least `high`, about `count` steps of 1, 2, 2.5 or 5 times a power of ten. */
export function ticks(low: number, high: number, count = 4): number[] {
  if (!(high > low)) return [low, low + 1];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= rough * 0.999) ?? 10);
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

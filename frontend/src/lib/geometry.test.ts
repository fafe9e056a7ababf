/** Step curves, scales and ticks. */
import { describe, expect, test } from "vitest";
import { crossing, cumulative, linePath, scale, stepCurve, stepPath, ticks, upTo } from "./geometry";

const offers = [
  { price: 100, quantity_wh: 300 },
  { price: 100, quantity_wh: 200 },
  { price: 250, quantity_wh: 500 },
];

describe("step curves", () => {
  test("flat runs joined by risers, the last riser to the end", () => {
    expect(stepCurve(offers, 400)).toEqual([
      [0, 100],
      [300, 100],
      [300, 100],
      [500, 100],
      [500, 250],
      [1000, 250],
      [1000, 400],
    ]);
  });

  test("an empty book and empty levels draw nothing", () => {
    expect(stepCurve([], 400)).toEqual([]);
    expect(stepCurve([{ price: 5, quantity_wh: 0 }], 400)).toEqual([]);
  });

  test("every corner differs from the last in one direction only, and quantities never fall", () => {
    const curve = stepCurve([...offers, { price: 300, quantity_wh: 7 }], 400);
    curve.slice(1).forEach(([q, p], i) => {
      const [before, price] = curve[i] ?? [0, 0];
      expect(q === before || p === price).toBe(true);
      expect(q).toBeGreaterThanOrEqual(before);
    });
  });

  test("cut inside a run", () => {
    expect(upTo(stepCurve(offers, 400), 700)).toEqual([
      [0, 100],
      [300, 100],
      [300, 100],
      [500, 100],
      [500, 250],
      [700, 250],
    ]);
  });

  test("cut at a riser keeps the price before it", () => {
    expect(upTo(stepCurve(offers, 400), 500).at(-1)).toEqual([500, 100]);
  });
});

test("the table joins equal prices and runs the total", () => {
  expect(cumulative(offers)).toEqual([
    { price: 100, quantity: 500, total: 500 },
    { price: 250, quantity: 500, total: 1000 },
  ]);
});

test("scales", () => {
  const y = scale(0, 10, 200, 0);
  expect([0, 5, 10].map(y)).toEqual([200, 100, 0]);
  expect(scale(3, 3, 7, 9)(3)).toBe(7);
});

test("paths", () => {
  const same = scale(0, 1, 0, 1);
  expect(
    stepPath(
      [
        [0, 5],
        [3, 5],
        [3, 8],
      ],
      same,
      same,
    ),
  ).toBe("M0 5H3V5H3V8");
  expect(
    linePath(
      [
        [0, 1],
        [2, 3],
      ],
      same,
      same,
    ),
  ).toBe("M0.00 1.00L2.00 3.00");
});

describe("ticks", () => {
  test.each([
    [0, 420_000, [0, 200_000, 400_000, 600_000]],
    [0, 1, [0, 0.25, 0.5, 0.75, 1]],
    [-1310, 1420, [-2000, -1000, 0, 1000, 2000]],
  ])("%d to %d", (low, high, expected) => {
    expect(ticks(low, high, low < 0 ? 3 : high > 1 ? 3 : 4)).toEqual(expected);
  });

  test("cover the range in a handful of even steps, whatever it is", () => {
    for (let i = 0; i < 500; i++) {
      const high = 10 ** (Math.random() * 8 - 2);
      const values = ticks(0, high, 4);
      expect(values[0]).toBe(0);
      expect(values.at(-1)).toBeGreaterThanOrEqual(high * (1 - 1e-9));
      expect(values.length).toBeGreaterThanOrEqual(3);
      expect(values.length).toBeLessThanOrEqual(6);
    }
  });

  test("an empty range still has an axis", () => {
    expect(ticks(0, 0)).toEqual([0, 1]);
  });
});

describe("the crossing of a live book", () => {
  const bids = [
    { price: 400, quantity_wh: 300 },
    { price: 200, quantity_wh: 300 },
  ];

  test("lies between the last bid and the last offer that meet", () => {
    expect(crossing(bids, offers)).toBe(150);
    expect(crossing([{ price: 400, quantity_wh: 600 }], offers)).toBe(325);
    expect(crossing(bids, [{ price: 200, quantity_wh: 900 }])).toBe(200);
  });

  test("is not there where nothing meets", () => {
    expect(crossing([{ price: 99, quantity_wh: 300 }], offers)).toBeNull();
    expect(crossing([], offers)).toBeNull();
    expect(crossing(bids, [])).toBeNull();
  });
});

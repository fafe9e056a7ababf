/** The encoding against the golden cases that Python made, and its own inverse on random orders. */
import { readFileSync } from "node:fs";
import { keccak256, concatHex } from "viem";
import { describe, expect, test } from "vitest";
import {
  cancellation,
  cancels,
  decodeEntries,
  EncodingError,
  entryWords,
  lockOf,
  type ScheduleOrder,
  wordHex,
} from "./encoding";

const golden = <T>(name: string): T[] =>
  (JSON.parse(readFileSync(new URL(`../../../tests/cases/encoding/${name}.json`, import.meta.url), "utf8")) as { cases: T[] })
    .cases;

interface OrderCase {
  name: string;
  intervals: number;
  order: ScheduleOrder;
  cancels: boolean;
  words: string[];
  hash: string;
  price_cap: number;
  collateral_ppm: number;
  lock: string;
}

describe("orders as words", () => {
  test.each(golden<OrderCase>("orders"))("$name", (c) => {
    const words = entryWords(c.order, c.intervals);
    expect(words.map(wordHex)).toEqual(c.words);
    expect(keccak256(concatHex(words.map(wordHex)))).toBe(c.hash);
    expect(decodeEntries(words, c.intervals)).toEqual([c.order]);
    expect(cancels(c.order)).toBe(c.cancels);
    expect(lockOf(c.order, c.price_cap, c.collateral_ppm)).toBe(BigInt(c.lock));
  });

  test.each(golden<{ name: string; intervals: number; order: ScheduleOrder; field: string }>("refused_orders"))(
    "refuses $name",
    (c) => {
      expect(() => entryWords(c.order, c.intervals)).toThrow(
        expect.objectContaining({ name: "EncodingError", field: c.field }),
      );
    },
  );

  test.each(golden<{ name: string; intervals: number; words: string[] }>("refused_words"))("refuses to read $name", (c) => {
    expect(() => decodeEntries(c.words.map(BigInt), c.intervals)).toThrow(EncodingError);
  });
});

test("a fraction of a Wh is refused, not cut", () => {
  const order: ScheduleOrder = { account: 1, side: "bid", steps: [{ quantities: [1.5], limits: [1] }] };
  expect(() => entryWords(order, 1)).toThrow("steps[0].quantities[0]: expected 0..16777215 Wh, got 1.5");
});

test("a cancellation is one step of zeros and locks nothing", () => {
  const order = cancellation(9, "offer", 5);
  expect(cancels(order)).toBe(true);
  expect(entryWords(order, 5)).toEqual([9n | (1n << 255n), 0n, 0n]);
  expect(lockOf(order, 600_000, 500_000)).toBe(0n);
});

test("several orders in one batch come back in turn", () => {
  const orders = golden<OrderCase>("orders").filter((c) => c.intervals === 4);
  expect(orders.length).toBeGreaterThan(2);
  expect(
    decodeEntries(
      orders.flatMap((c) => entryWords(c.order, 4)),
      4,
    ),
  ).toEqual(orders.map((c) => c.order));
});

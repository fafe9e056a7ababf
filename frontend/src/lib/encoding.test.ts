/** The encoding against the golden cases that Python made, and its own inverse on random orders. */
import { readFileSync } from "node:fs";
import { keccak256, concatHex } from "viem";
import { describe, expect, test } from "vitest";
import {
  cancellationOf,
  cancels,
  decodeEntries,
  encodeEntry,
  EncodingError,
  entryWords,
  lockOf,
  ownOrder,
  payerOf,
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

const termsOf = (c: OrderCase) => ({
  intervals: Array.from({ length: c.intervals }, (_, t) => t),
  price_cap: c.price_cap,
  collateral_ppm: c.collateral_ppm,
});

describe("orders as words", () => {
  test.each(golden<OrderCase>("orders"))("$name", (c) => {
    const words = entryWords(c.order, termsOf(c));
    expect(words.map(wordHex)).toEqual(c.words);
    expect(keccak256(concatHex(words.map(wordHex)))).toBe(c.hash);
    expect(decodeEntries(words, c.intervals)).toEqual([{ order: c.order, lock: BigInt(c.lock) }]);
    expect(cancels(c.order)).toBe(c.cancels);
    expect(lockOf(c.order, c.price_cap, c.collateral_ppm)).toBe(BigInt(c.lock));
  });

  test.each(golden<{ name: string; intervals: number; order: ScheduleOrder; field: string; lock: string }>("refused_orders"))(
    "refuses $name",
    (c) => {
      expect(() => encodeEntry(c.order, c.intervals, BigInt(c.lock))).toThrow(
        expect.objectContaining({ name: "EncodingError", field: c.field }),
      );
    },
  );

  test.each(golden<{ name: string; intervals: number; words: string[] }>("refused_words"))("refuses to read $name", (c) => {
    expect(() => decodeEntries(c.words.map(BigInt), c.intervals)).toThrow(EncodingError);
  });
});

test("the protocol's own example", () => {
  const order = ownOrder(7, "offer", [{ quantities: [0, 500, 0, 0], limits: [0, 120_000, 0, 0] }]);
  expect(entryWords(order, { intervals: [0, 1, 2, 3], price_cap: 500_000, collateral_ppm: 600_000 })).toEqual([
    (1n << 255n) | (150_000n << 64n) | 7n,
    (500n + (120_000n << 24n)) << 56n,
  ]);
});

test("a fraction of a Wh is refused, not cut", () => {
  const order = ownOrder(1, "bid", [{ quantities: [1.5], limits: [1] }]);
  expect(() => encodeEntry(order, 1, 0n)).toThrow("steps[0].quantities[0]: expected 0..16777215 Wh, got 1.5");
});

test("a cancellation is one step of zeros, locks nothing and is the agent's where the order was", () => {
  const order = cancellationOf(ownOrder(9, "offer", []), 5);
  expect(cancels(order)).toBe(true);
  expect(encodeEntry(order, 5, 0n)).toEqual([9n | (1n << 255n), 0n, 0n]);
  expect(lockOf(order, 600_000, 500_000)).toBe(0n);
  const agents = cancellationOf({ ...ownOrder(9, "offer", []), agent: 4, agentPays: true }, 1);
  expect(encodeEntry(agents, 1, 0n)[0]).toBe(9n | (4n << 32n) | (1n << 130n) | (1n << 255n));
});

test("the payer is the agent only where it says so", () => {
  const order = { ...ownOrder(9, "bid", []), agent: 4 };
  expect(payerOf(order)).toBe(9);
  expect(payerOf({ ...order, agentPays: true })).toBe(4);
});

test("several orders in one batch come back in turn", () => {
  const found = golden<OrderCase>("orders").filter((c) => c.intervals === 4);
  expect(found.length).toBeGreaterThan(2);
  expect(
    decodeEntries(
      found.flatMap((c) => entryWords(c.order, termsOf(c))),
      4,
    ),
  ).toEqual(found.map((c) => ({ order: c.order, lock: BigInt(c.lock) })));
});

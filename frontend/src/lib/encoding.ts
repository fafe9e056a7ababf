/**
 * Schedule orders as the words the contracts read (docs/protocol.md section 6): the twin of contracts/encoding.py,
 * checked against the same golden cases. The page signs only words made here.
 */
import { ceilDiv, MAX_PRICE, MAX_QUANTITY } from "./units";

export type Side = "bid" | "offer";

/** One step of a curve: per session interval a quantity (Wh) and a limit (micro-euro per kWh). Zero quantity has zero limit. */
export interface Step {
  readonly quantities: readonly number[];
  readonly limits: readonly number[];
}

/** One account's whole curve on one side of a session. A single step without quantities cancels. */
export interface ScheduleOrder {
  readonly account: number;
  readonly side: Side;
  readonly steps: readonly Step[];
}

export const MAX_STEPS = 4;

const ENTRIES_A_WORD = 4;
const SLOT_BITS = 56n;
const QUANTITY_BITS = 24n;
const SIDE_BIT = 255n;
const M24 = (1n << QUANTITY_BITS) - 1n;
const M56 = (1n << SLOT_BITS) - 1n;

/** A value that does not fit the protocol's words. */
export class EncodingError extends Error {
  override readonly name = "EncodingError";
  constructor(
    readonly field: string,
    readonly expected: string,
    readonly got: string,
  ) {
    super(`${field}: expected ${expected}, got ${got}`);
  }
}

/** Words that `items` packed `aWord` a word take. */
export const wordsFor = (items: number, aWord: number): number => Math.ceil(items / aWord);

export const cancels = (order: ScheduleOrder): boolean => order.steps.every((step) => step.quantities.every((q) => q === 0));

/** The order that cancels an account's live entry on `side` in a session of `intervals` intervals. */
export const cancellation = (account: number, side: Side, intervals: number): ScheduleOrder => ({
  account,
  side,
  steps: [{ quantities: Array<number>(intervals).fill(0), limits: Array<number>(intervals).fill(0) }],
});

function within(field: string, value: number, low: number, high: number, unit: string): bigint {
  if (!Number.isInteger(value) || value < low || value > high)
    throw new EncodingError(field, `${low}..${high}${unit}`, String(value));
  return BigInt(value);
}

/** `order` as words for a session of `intervals` intervals. Raises `EncodingError` on whatever the contracts would refuse. */
export function entryWords(order: ScheduleOrder, intervals: number): bigint[] {
  const account = within("account", order.account, 1, 2 ** 32 - 1, "");
  if (order.steps.length < 1 || order.steps.length > MAX_STEPS) {
    throw new EncodingError("steps", `1 to ${MAX_STEPS}`, String(order.steps.length));
  }
  const side = order.side === "offer" ? 1n : 0n;
  const words = [account | (BigInt(order.steps.length - 1) << 32n) | (side << SIDE_BIT)];
  order.steps.forEach((step, number) => {
    if (step.quantities.length !== intervals || step.limits.length !== intervals) {
      throw new EncodingError(
        `steps[${number}]`,
        `${intervals} quantities and limits`,
        `${step.quantities.length} and ${step.limits.length}`,
      );
    }
    const body = Array<bigint>(wordsFor(intervals, ENTRIES_A_WORD)).fill(0n);
    step.quantities.forEach((value, j) => {
      const quantity = within(`steps[${number}].quantities[${j}]`, value, 0, MAX_QUANTITY, " Wh");
      const limit = within(`steps[${number}].limits[${j}]`, step.limits[j] ?? -1, 0, MAX_PRICE, " micro-euro per kWh");
      if (quantity === 0n && limit !== 0n)
        throw new EncodingError(`steps[${number}].limits[${j}]`, "0 with a zero quantity", String(limit));
      const at = Math.floor(j / ENTRIES_A_WORD);
      const slot = (quantity | (limit << QUANTITY_BITS)) << (SLOT_BITS * BigInt(j % ENTRIES_A_WORD));
      body[at] = (body[at] ?? 0n) | slot;
    });
    words.push(...body);
  });
  if (cancels(order) && order.steps.length > 1) {
    throw new EncodingError("steps", "one step in an order without quantities", String(order.steps.length));
  }
  return words;
}

/** The orders in a batch's words; raises `EncodingError` on anything that the market would not have taken. */
export function decodeEntries(words: readonly bigint[], intervals: number): ScheduleOrder[] {
  const size = wordsFor(intervals, ENTRIES_A_WORD);
  const orders: ScheduleOrder[] = [];
  for (let at = 0; at < words.length;) {
    const header = words[at] ?? 0n;
    const count = Number((header >> 32n) & 3n) + 1;
    const end = at + 1 + count * size;
    if (end > words.length) throw new EncodingError(`words[${at}]`, `${end - at} words in the row`, String(words.length - at));
    const steps = Array.from({ length: count }, (_, k): Step => {
      const slots = Array.from({ length: intervals }, (_, j) => {
        const word = words[at + 1 + k * size + Math.floor(j / ENTRIES_A_WORD)] ?? 0n;
        return (word >> (SLOT_BITS * BigInt(j % ENTRIES_A_WORD))) & M56;
      });
      return {
        quantities: slots.map((slot) => Number(slot & M24)),
        limits: slots.map((slot) => Number(slot >> QUANTITY_BITS)),
      };
    });
    const order: ScheduleOrder = {
      account: Number(header & 0xffffffffn),
      side: header >> SIDE_BIT === 1n ? "offer" : "bid",
      steps,
    };
    const again = entryWords(order, intervals);
    if (again.some((word, i) => word !== words[at + i])) {
      throw new EncodingError(`words[${at}]`, "no bits outside the fields", "some");
    }
    orders.push(order);
    at = end;
  }
  return orders;
}

/** Micro-euro locked at entry: a bid's largest cost, an offer's collateral by the cap (docs/protocol.md section 6). */
export function lockOf(order: ScheduleOrder, priceCap: number, collateralPpm: number): bigint {
  if (order.side === "bid") {
    return order.steps.reduce(
      (total, step) =>
        total + step.quantities.reduce((part, q, j) => part + ceilDiv(BigInt(q) * BigInt(step.limits[j] ?? 0), 1000n), 0n),
      0n,
    );
  }
  const quantity = order.steps.reduce((total, step) => total + step.quantities.reduce((part, q) => part + BigInt(q), 0n), 0n);
  return ceilDiv(BigInt(collateralPpm) * BigInt(priceCap) * quantity, 10n ** 9n);
}

/** A word as 32 bytes of 0x-prefixed hexadecimal text. */
export const wordHex = (word: bigint): `0x${string}` => `0x${word.toString(16).padStart(64, "0")}`;

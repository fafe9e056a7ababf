/**
 * Schedule orders as the words the contracts read (docs/protocol.md section 6): the twin of contracts/encoding.py,
 * checked against the same golden cases. The page signs only words made here.
 */
import { ceilDiv, MAX_PRICE, MAX_QUANTITY, PPM } from "./units";

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
  /** The account whose owner signs, 0 where the account's own does. */
  readonly agent: number;
  /** The agent's account pays, and gets what is paid. */
  readonly agentPays: boolean;
  /** Offers only: what is not filled may take the place of a member that fails. */
  readonly reserve: boolean;
  /** Block mode: the least part that is taken, ppm. */
  readonly minFillPpm: number;
  /** Block mode: the order without which this one is not taken. */
  readonly parent: { readonly account: number; readonly side: Side } | null;
}

/** An entry of the log: the order, and the lock (micro-euro) that its header states. */
export interface LoggedOrder {
  readonly order: ScheduleOrder;
  readonly lock: bigint;
}

/** What a session's terms say about the words of its entries, as the API gives it. */
export interface EntryTerms {
  readonly intervals: readonly number[];
  readonly price_cap: number;
  readonly collateral_ppm: number;
}

/** An order that its account's owner signs and pays, without anything special. */
export const ownOrder = (account: number, side: Side, steps: readonly Step[]): ScheduleOrder => ({
  account,
  side,
  steps,
  agent: 0,
  agentPays: false,
  reserve: false,
  minFillPpm: 0,
  parent: null,
});

export const MAX_STEPS = 4;

const ENTRIES_A_WORD = 4;
const SLOT_BITS = 56n;
const QUANTITY_BITS = 24n;
const LOCK_BIT = 64n;
const STEPS_BIT = 128n;
const AGENT_PAYS_BIT = 130n;
const RESERVE_BIT = 131n;
const MIN_FILL_BIT = 132n;
const PARENT_BIT = 152n;
const PARENT_SIDE_BIT = 184n;
const SIDE_BIT = 255n;
const M32 = (1n << 32n) - 1n;
const M64 = (1n << 64n) - 1n;
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

/** `order` with nothing in it, as its account, side and agent are: it cancels the live entry in a session of `intervals` intervals. */
export const cancellationOf = (
  order: Pick<ScheduleOrder, "account" | "side" | "agent" | "agentPays">,
  intervals: number,
): ScheduleOrder => ({
  ...ownOrder(order.account, order.side, [
    { quantities: Array<number>(intervals).fill(0), limits: Array<number>(intervals).fill(0) },
  ]),
  agent: order.agent,
  agentPays: order.agentPays,
});

/** The account whose money is locked and moved. */
export const payerOf = (order: ScheduleOrder): number => (order.agentPays ? order.agent : order.account);

function within(field: string, value: number, low: number, high: number, unit: string): bigint {
  if (!Number.isInteger(value) || value < low || value > high)
    throw new EncodingError(field, `${low}..${high}${unit}`, String(value));
  return BigInt(value);
}

/** `order` as words for a session with these terms, the lock that follows from them in its header. */
export const entryWords = (order: ScheduleOrder, terms: EntryTerms): bigint[] =>
  encodeEntry(order, terms.intervals.length, lockOf(order, terms.price_cap, terms.collateral_ppm));

/**
 * `order` as words for `intervals` intervals, stating `lock`; the market takes none but the right one. Raises
 * `EncodingError` on whatever no contract would take.
 */
export function encodeEntry(order: ScheduleOrder, intervals: number, lock: bigint): bigint[] {
  const words = [headerOf(order, lock)];
  order.steps.forEach((step, number) => words.push(...stepWords(`steps[${number}]`, step, intervals)));
  if (cancels(order) && order.steps.length > 1) {
    throw new EncodingError("steps", "one step in an order without quantities", String(order.steps.length));
  }
  if (cancels(order)) {
    const bare: readonly (readonly [string, boolean])[] = [
      ["lock", lock === 0n],
      ["reserve", !order.reserve],
      ["minFillPpm", order.minFillPpm === 0],
      ["parent", order.parent === null],
    ];
    for (const [field, none] of bare) {
      if (!none) throw new EncodingError(field, "none in an order without quantities", "some");
    }
  }
  return words;
}

function headerOf(order: ScheduleOrder, lock: bigint): bigint {
  const account = within("account", order.account, 1, 2 ** 32 - 1, "");
  const agent = within("agent", order.agent, 0, 2 ** 32 - 1, "");
  if (lock < 0n || lock > M64) throw new EncodingError("lock", `0..${M64} micro-euro`, String(lock));
  const minFill = within("minFillPpm", order.minFillPpm, 0, PPM, "");
  if (order.steps.length < 1 || order.steps.length > MAX_STEPS) {
    throw new EncodingError("steps", `1 to ${MAX_STEPS}`, String(order.steps.length));
  }
  if (order.agent === order.account) {
    throw new EncodingError("agent", "another account than the order's", String(order.agent));
  }
  if (order.agentPays && order.agent === 0) throw new EncodingError("agentPays", "an agent that pays", "none");
  if (order.reserve && order.side === "bid") throw new EncodingError("reserve", "an offer", "a bid");
  const flag = (set: boolean, bit: bigint): bigint => (set ? 1n << bit : 0n);
  let header = account | (agent << 32n) | (lock << LOCK_BIT) | (BigInt(order.steps.length - 1) << STEPS_BIT);
  header |= flag(order.agentPays, AGENT_PAYS_BIT) | flag(order.reserve, RESERVE_BIT) | (minFill << MIN_FILL_BIT);
  if (order.parent !== null) {
    if (order.parent.account === order.account && order.parent.side === order.side) {
      throw new EncodingError("parent", "another order than its own", `${order.parent.side} of ${order.parent.account}`);
    }
    header |= within("parent", order.parent.account, 1, 2 ** 32 - 1, "") << PARENT_BIT;
    header |= flag(order.parent.side === "offer", PARENT_SIDE_BIT);
  }
  return header | flag(order.side === "offer", SIDE_BIT);
}

function stepWords(name: string, step: Step, intervals: number): bigint[] {
  if (step.quantities.length !== intervals || step.limits.length !== intervals) {
    throw new EncodingError(
      name,
      `${intervals} quantities and limits`,
      `${step.quantities.length} and ${step.limits.length}`,
    );
  }
  const body = Array<bigint>(wordsFor(intervals, ENTRIES_A_WORD)).fill(0n);
  step.quantities.forEach((value, j) => {
    const quantity = within(`${name}.quantities[${j}]`, value, 0, MAX_QUANTITY, " Wh");
    const limit = within(`${name}.limits[${j}]`, step.limits[j] ?? -1, 0, MAX_PRICE, " micro-euro per kWh");
    if (quantity === 0n && limit !== 0n)
      throw new EncodingError(`${name}.limits[${j}]`, "0 with a zero quantity", String(limit));
    const at = Math.floor(j / ENTRIES_A_WORD);
    const slot = (quantity | (limit << QUANTITY_BITS)) << (SLOT_BITS * BigInt(j % ENTRIES_A_WORD));
    body[at] = (body[at] ?? 0n) | slot;
  });
  return body;
}

/** The entries in a batch's words; raises `EncodingError` on what no session of `intervals` intervals would have taken. */
export function decodeEntries(words: readonly bigint[], intervals: number): LoggedOrder[] {
  const size = wordsFor(intervals, ENTRIES_A_WORD);
  const entries: LoggedOrder[] = [];
  for (let at = 0; at < words.length;) {
    const header = words[at] ?? 0n;
    const count = Number((header >> STEPS_BIT) & 3n) + 1;
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
    const bit = (at: bigint): boolean => ((header >> at) & 1n) === 1n;
    const parent = Number((header >> PARENT_BIT) & M32);
    const order: ScheduleOrder = {
      account: Number(header & M32),
      side: bit(SIDE_BIT) ? "offer" : "bid",
      steps,
      agent: Number((header >> 32n) & M32),
      agentPays: bit(AGENT_PAYS_BIT),
      reserve: bit(RESERVE_BIT),
      minFillPpm: Number((header >> MIN_FILL_BIT) & ((1n << 20n) - 1n)),
      parent: parent === 0 ? null : { account: parent, side: bit(PARENT_SIDE_BIT) ? "offer" : "bid" },
    };
    const lock = (header >> LOCK_BIT) & M64;
    const again = encodeEntry(order, intervals, lock);
    if (again.some((word, i) => word !== words[at + i])) {
      throw new EncodingError(`words[${at}]`, "no bits outside the fields", "some");
    }
    entries.push({ order, lock });
    at = end;
  }
  return entries;
}

/** Micro-euro locked at entry: a bid's largest cost, an offer's collateral by the cap. The intake fee comes on top. */
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

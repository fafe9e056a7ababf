/** Whole-number energy (Wh), price (micro-euro per kWh) and money (micro-euro), and their entry as decimal text. */

export const PPM = 1_000_000;

/** Largest quantity of one order entry, Wh. */
export const MAX_QUANTITY = 2 ** 24 - 1;

/** Largest price, micro-euro per kWh. */
export const MAX_PRICE = 2 ** 32 - 1;

/** Decimals of a kWh in Wh, and of a euro in micro-euro. */
export const ENERGY_DECIMALS = 3;
export const EURO_DECIMALS = 6;

/** `numerator / denominator` rounded up, for a non-negative numerator and a positive denominator. */
export const ceilDiv = (numerator: bigint, denominator: bigint): bigint => (numerator + denominator - 1n) / denominator;

export type Parsed = { readonly ok: true; readonly value: number } | { readonly ok: false; readonly expected: string };

/**
 * Decimal text as a whole number of its smallest unit: "0.25" with 3 decimals is 250. Comma and point both mark
 * decimals; grouping marks are refused because they cannot be told from them. Empty text is 0. No floating point is
 * involved.
 */
export function parseDecimal(entered: string, decimals: number): Parsed {
  const trimmed = entered.trim();
  if (trimmed === "") return { ok: true, value: 0 };
  const match = /^(\d*)(?:[.,](\d*))?$/.exec(trimmed);
  if (match === null || (match[1] === "" && (match[2] ?? "") === "")) return { ok: false, expected: "a number such as 1.25" };
  const fraction = (match[2] ?? "").replace(/0+$/, "");
  if (fraction.length > decimals) return { ok: false, expected: `at most ${decimals} decimals` };
  const value = Number(BigInt((match[1] ?? "") + fraction.padEnd(decimals, "0")));
  return Number.isSafeInteger(value) ? { ok: true, value } : { ok: false, expected: "a smaller number" };
}

/** A whole number of smallest units as plain decimal text without needless zeros, `mark` before the decimals. */
export function decimalText(value: number | bigint, decimals: number, mark = "."): string {
  const negative = value < 0;
  const digits = BigInt(value < 0 ? -value : value)
    .toString()
    .padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return `${negative ? "-" : ""}${whole}${fraction === "" ? "" : mark + fraction}`;
}

export const sum = (values: readonly (number | null)[]): number => values.reduce<number>((total, v) => total + (v ?? 0), 0);

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
 * Decimal text as a whole number of its smallest unit: "0.25" with 3 decimals is 250. `mark` stands before decimals in
 * the reader's language. The other one of comma and point does too, unless the reader may have meant thousands by it:
 * "1,000" is refused where the page itself writes "1,000.5". Empty text is 0. No floating point is involved.
 */
export function parseDecimal(entered: string, decimals: number, mark: string): Parsed {
  const trimmed = entered.trim();
  if (trimmed === "") return { ok: true, value: 0 };
  if (/^[\d.,]*\d[\d.,]*$/.test(trimmed) && trimmed.replace(/\d/g, "").length > 1) {
    return { ok: false, expected: `one mark at most, before the decimals, such as 1234${mark}5` };
  }
  const match = /^(\d*)(?:([.,])(\d*))?$/.exec(trimmed);
  if (match === null || (match[1] === "" && (match[3] ?? "") === "")) {
    return { ok: false, expected: `a number such as 1${mark}25` };
  }
  const [, whole = "", typed = mark, digits = ""] = match;
  if (typed !== mark && digits.length === 3 && /^[1-9]/.test(whole)) {
    return { ok: false, expected: `${whole}${digits} or ${whole}${mark}${digits}, because “${typed}” here could mean either` };
  }
  const fraction = digits.replace(/0+$/, "");
  if (fraction.length > decimals) return { ok: false, expected: `at most ${decimals} decimals` };
  const value = Number(BigInt(whole + fraction.padEnd(decimals, "0")));
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

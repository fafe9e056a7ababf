/** Numbers as people read them, in the browser's language. Values go to Intl as exact decimal text, never as floating point. */
import { decimalText, ENERGY_DECIMALS, EURO_DECIMALS } from "./units";

/** The first of the reader's languages whose number format the page carries, English otherwise. */
export function pickLocale(languages: readonly string[]): string {
  return languages.find((tag) => ["de", "it", "en"].includes(tag.slice(0, 2).toLowerCase())) ?? "en";
}

export interface Formats {
  readonly locale: string;
  /** Dates stand inside sentences, so they are written in the sentences' language. */
  readonly dateLocale: string;
  /** The mark between whole and decimals. */
  readonly decimalMark: string;
  /** Wh as kWh, with its unit. */
  energy(wh: number): string;
  /** Wh as kWh, the number alone. */
  kwh(wh: number): string;
  /** Wh as kWh with its sign always shown. */
  signedKwh(wh: number): string;
  /** Micro-euro per kWh as EUR/kWh, with its unit. */
  price(microEuro: number): string;
  /** Micro-euro per kWh as EUR/kWh, the number alone. */
  priceNumber(microEuro: number): string;
  /** Micro-euro as euro: two to four decimals. */
  money(microEuro: number | bigint): string;
  /** Micro-euro as euro with four decimals: for columns, where decimals stand under each other. */
  amount(microEuro: number | bigint): string;
  /** Micro-euro as euro: all six decimals. */
  exactMoney(microEuro: number | bigint): string;
  /** Micro-euro as euro with its sign and four decimals. */
  signedAmount(microEuro: number): string;
  /** A tick of an axis up to `top`, both micro-euro per kWh: as many decimals as the axis needs. */
  axisPrice(microEuro: number, top: number): string;
  /** A tick of an axis up to `top`, both Wh: as many decimals of a kWh as the axis needs. */
  axisEnergy(wh: number, top: number): string;
  integer(value: number | bigint): string;
  /** Parts per million as per cent. */
  percent(ppm: number): string;
  /** Milliseconds as ms or s. */
  duration(ms: number): string;
  /** Whole number of smallest units as text for an input field. */
  input(value: number, decimals: number): string;
}

type Decimal = `${number}`;

export function makeFormats(locale: string): Formats {
  const number = (options: Intl.NumberFormatOptions) => {
    const format = new Intl.NumberFormat(locale, options);
    return (decimal: string): string => format.format(decimal as Decimal);
  };
  const kwh = number({ minimumFractionDigits: 3, maximumFractionDigits: 3 });
  const signedKwh = number({ minimumFractionDigits: 3, maximumFractionDigits: 3, signDisplay: "exceptZero" });
  const price = number({ minimumFractionDigits: 4, maximumFractionDigits: 6 });
  const euro = { style: "currency", currency: "EUR", currencyDisplay: "symbol" } as const;
  const money = number({ ...euro, minimumFractionDigits: 2, maximumFractionDigits: 4 });
  const exact = number({ ...euro, minimumFractionDigits: 6, maximumFractionDigits: 6 });
  const amount = number({ ...euro, minimumFractionDigits: 4, maximumFractionDigits: 4 });
  const signed = number({ ...euro, minimumFractionDigits: 4, maximumFractionDigits: 4, signDisplay: "exceptZero" });
  const whole = number({ maximumFractionDigits: 0 });
  const percent = number({ style: "percent", maximumFractionDigits: 1 });
  const milli = number({ maximumFractionDigits: 0 });
  const seconds = number({ minimumFractionDigits: 1, maximumFractionDigits: 1 });
  // Ticks are places on a plot, not amounts: floating point is right for them.
  const axisFormats = [0, 1, 2, 3, 4, 5, 6].map(
    (digits) => new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
  );
  const axis = (value: number, top: number): string => {
    const digits = top <= 0 ? 0 : Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(top))));
    return (axisFormats[digits] ?? axisFormats[0])?.format(value) ?? "";
  };
  const decimalMark = new Intl.NumberFormat(locale).formatToParts(1.5).find((part) => part.type === "decimal")?.value ?? ".";
  return {
    locale,
    dateLocale: locale.toLowerCase().startsWith("en-") ? locale : "en-GB",
    decimalMark,
    energy: (wh) => `${kwh(decimalText(wh, ENERGY_DECIMALS))} kWh`,
    kwh: (wh) => kwh(decimalText(wh, ENERGY_DECIMALS)),
    signedKwh: (wh) => signedKwh(decimalText(wh, ENERGY_DECIMALS)),
    price: (microEuro) => `${price(decimalText(microEuro, EURO_DECIMALS))} EUR/kWh`,
    priceNumber: (microEuro) => price(decimalText(microEuro, EURO_DECIMALS)),
    money: (microEuro) => money(decimalText(microEuro, EURO_DECIMALS)),
    exactMoney: (microEuro) => exact(decimalText(microEuro, EURO_DECIMALS)),
    amount: (microEuro) => amount(decimalText(microEuro, EURO_DECIMALS)),
    signedAmount: (microEuro) => signed(decimalText(microEuro, EURO_DECIMALS)),
    axisPrice: (microEuro, top) => axis(microEuro / 10 ** EURO_DECIMALS, top / 10 ** EURO_DECIMALS),
    axisEnergy: (wh, top) => axis(wh / 10 ** ENERGY_DECIMALS, top / 10 ** ENERGY_DECIMALS),
    integer: (value) => whole(String(value)),
    percent: (ppm) => percent(decimalText(ppm, 6)),
    duration: (ms) => (ms < 1000 ? `${milli(String(ms))} ms` : `${seconds(String(ms / 1000))} s`),
    input: (value, decimals) => decimalText(value, decimals, decimalMark),
  };
}

/** Formats of this browser. Tests make their own with `makeFormats`. */
export const formats: Formats = makeFormats(pickLocale(typeof navigator === "undefined" ? [] : navigator.languages));

/** The ends of a long hexadecimal value. */
export const shortHex = (hex: string): string => (hex.length <= 14 ? hex : `${hex.slice(0, 6)}…${hex.slice(-4)}`);

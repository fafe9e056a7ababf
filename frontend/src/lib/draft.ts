/**
 * An order while it is typed: text fields, their prefill from forecast and book, and the check that turns them into an
 * order.
 */
import { type ScheduleOrder, lockOf, MAX_STEPS, ownOrder, type Side } from "./encoding";
import type { Formats } from "./format";
import { crossing } from "./geometry";
import type { BookInterval } from "./resources";
import { ENERGY_DECIMALS, EURO_DECIMALS, MAX_QUANTITY, parseDecimal, PPM, sum } from "./units";

/** Of a per cent, so that the smallest unit is one part per million. */
const PERCENT_DECIMALS = 4;

export interface DraftStep {
  readonly quantities: readonly string[];
  readonly limits: readonly string[];
}

export interface Draft {
  readonly side: Side;
  readonly steps: readonly DraftStep[];
  /** Offers only: what is not filled may take the place of a member that fails. */
  readonly reserve?: boolean;
  /** The agent's account pays. */
  readonly agentPays?: boolean;
  /** Block sessions only: least part of the order that is of any use, per cent, as typed. */
  readonly minFill?: string;
}

/** What the session and the account allow. */
export interface Terms {
  readonly account: number;
  readonly hasMeter: boolean;
  readonly available: number;
  /** The account that acts for this one, and what it has available; null where its own owner signs. */
  readonly agent: { readonly account: number; readonly available: number } | null;
  /** Largest quantity of an offer in an interval, Wh; null where the session asks for none. */
  readonly envelope: number | null;
  /** Micro-euro that the entry costs. */
  readonly intakeFee: number;
  /** Names of the session's intervals, for messages. */
  readonly labels: readonly string[];
  readonly minQuantity: number;
  readonly priceCap: number;
  readonly collateralPpm: number;
  readonly open: boolean;
  /** One ratio fills all intervals of an order, which has one step. */
  readonly blocks: boolean;
}

/** Something that keeps the order from being signed. `field` is an input's key, or `order`, `balance`, `gate`, `meter`. */
export interface Issue {
  readonly field: string;
  readonly message: string;
}

export interface Check {
  /** The order as it would be signed; null while an issue stands. */
  readonly order: ScheduleOrder | null;
  /** Micro-euro that entering it locks; null while a field cannot be read. */
  readonly lock: bigint | null;
  readonly issues: readonly Issue[];
}

export const fieldKey = (step: number, part: "quantities" | "limits", j: number): string => `steps[${step}].${part}[${j}]`;

/** Every rule of entry (docs/protocol.md section 6) on what was typed, each breach named with its field. */
export function checkDraft(draft: Draft, terms: Terms, formats: Formats): Check {
  const issues: Issue[] = [];
  if (!terms.open) issues.push({ field: "gate", message: "The gate is closed: this session takes no orders now." });
  if (draft.side === "offer" && !terms.hasMeter) {
    issues.push({ field: "meter", message: "Offers need a registered meter key. This account can bid." });
  }
  let readable = true;
  const steps = draft.steps.map((step, number) => {
    const quantities: number[] = [];
    const limits: number[] = [];
    terms.labels.forEach((label, j) => {
      const where = `${draft.steps.length > 1 ? `Step ${number + 1}, ` : ""}${label}`;
      const refuse = (part: "quantities" | "limits", problem: string): void => {
        issues.push({
          field: fieldKey(number, part, j),
          message: `${where}, ${part === "quantities" ? "quantity" : "limit"}: ${problem}`,
        });
      };
      const typed = step.quantities[j] ?? "";
      const quantity = parseDecimal(typed, ENERGY_DECIMALS, formats.decimalMark);
      const limitTyped = step.limits[j] ?? "";
      const limit = parseDecimal(limitTyped, EURO_DECIMALS, formats.decimalMark);
      if (!quantity.ok) refuse("quantities", `expected ${quantity.expected}, got “${typed}”`);
      else if (quantity.value > MAX_QUANTITY) refuse("quantities", `at most ${formats.energy(MAX_QUANTITY)}`);
      else if (quantity.value > 0 && quantity.value < terms.minQuantity) {
        refuse("quantities", `at least ${formats.energy(terms.minQuantity)}, got ${formats.energy(quantity.value)}`);
      }
      const wanted = quantity.ok && quantity.value > 0;
      if (!limit.ok) refuse("limits", `expected ${limit.expected}, got “${limitTyped}”`);
      else if (limit.value > terms.priceCap) refuse("limits", `at most the cap of ${formats.price(terms.priceCap)}`);
      else if (wanted && limitTyped.trim() === "") refuse("limits", "a price is missing");
      if (!quantity.ok || !limit.ok) readable = false;
      quantities.push(quantity.ok ? quantity.value : 0);
      limits.push(limit.ok && wanted ? limit.value : 0);
    });
    return { quantities, limits };
  });
  const typedFill = terms.blocks ? (draft.minFill ?? "") : "";
  const minFill = parseDecimal(typedFill, PERCENT_DECIMALS, formats.decimalMark);
  if (!minFill.ok) issues.push({ field: "minFill", message: `Least part: expected ${minFill.expected}, got “${typedFill}”` });
  else if (minFill.value > PPM) issues.push({ field: "minFill", message: `Least part: at most 100 %, got ${typedFill} %` });
  const agentPays = terms.agent !== null && draft.agentPays === true;
  const order: ScheduleOrder = {
    ...ownOrder(terms.account, draft.side, steps),
    agent: terms.agent?.account ?? 0,
    agentPays,
    reserve: draft.side === "offer" && draft.reserve === true && !terms.blocks,
    minFillPpm: minFill.ok ? Math.min(minFill.value, PPM) : 0,
  };
  if (readable && draft.side === "offer" && terms.envelope !== null) {
    const { envelope } = terms;
    const beyond = terms.labels.find((_, j) => sum(steps.map((step) => step.quantities[j] ?? 0)) > envelope);
    if (beyond !== undefined) {
      issues.push({
        field: "envelope",
        message:
          envelope === 0
            ? "No device envelope is declared for this account: it cannot offer in a cooperative session."
            : `${beyond}: the account's devices can move at most ${formats.energy(envelope)} in an interval.`,
      });
    }
  }
  if (readable && !steps.some((step) => step.quantities.some((q) => q > 0))) {
    issues.push({ field: "order", message: "Enter a quantity in at least one interval." });
  }
  const lock = readable ? lockOf(order, terms.priceCap, terms.collateralPpm) : null;
  const available = agentPays ? (terms.agent?.available ?? 0) : terms.available;
  if (lock !== null && lock + BigInt(terms.intakeFee) > BigInt(available)) {
    const fee = terms.intakeFee === 0 ? "" : ` and costs ${formats.money(terms.intakeFee)}`;
    issues.push({
      field: "balance",
      message: `Balance: this order locks ${formats.money(lock)}${fee}, ${formats.money(available)} are available.`,
    });
  }
  return { order: issues.length === 0 ? order : null, lock, issues };
}

/**
 * The first step as the page proposes it. Offers take the forecast's flexible energy where it reaches the minimum; bids
 * start without quantities. Limits are the price at which the live book crosses, or the best price on the other side, or
 * half the cap where there is neither.
 */
export function prefill(
  side: Side,
  intervals: readonly number[],
  flexible: readonly number[] | null,
  book: readonly BookInterval[],
  terms: Pick<Terms, "minQuantity" | "priceCap">,
  formats: Formats,
): Draft {
  const quantities = intervals.map((_, j) => proposed(side, flexible?.[j] ?? 0, terms.minQuantity, formats));
  const limits = intervals.map((t) => {
    const rows = book.find((row) => row.interval === t);
    const best = (side === "offer" ? rows?.bids : rows?.offers)?.[0]?.price ?? Math.floor(terms.priceCap / 2);
    return formats.input(crossing(rows?.bids ?? [], rows?.offers ?? []) ?? best, EURO_DECIMALS);
  });
  return { side, steps: [{ quantities, limits }] };
}

/** The quantity that a forecast of `flexible` Wh proposes in one interval, as typed text. */
function proposed(side: Side, flexible: number, minQuantity: number, formats: Formats): string {
  const wh = side === "offer" ? Math.min(flexible, MAX_QUANTITY) : 0;
  return wh > 0 && wh >= minQuantity ? formats.input(wh, ENERGY_DECIMALS) : "";
}

/** `draft` with the quantities of a forecast that came after the form: only where no quantity has been typed yet. */
export function withFlexible(
  draft: Draft,
  flexible: readonly number[],
  terms: Pick<Terms, "minQuantity">,
  formats: Formats,
): Draft {
  if (draft.steps.some((step) => step.quantities.some((typed) => typed.trim() !== ""))) return draft;
  const fill = (_: string, j: number): string => proposed(draft.side, flexible[j] ?? 0, terms.minQuantity, formats);
  const steps = draft.steps.map((step, k) => (k === 0 ? { ...step, quantities: step.quantities.map(fill) } : step));
  return { ...draft, steps };
}

/** `draft` with one field changed. */
export const withField = (draft: Draft, step: number, part: "quantities" | "limits", j: number, value: string): Draft => ({
  ...draft,
  steps: draft.steps.map((row, k) =>
    k === step ? { ...row, [part]: row[part].map((old, i) => (i === j ? value : old)) } : row,
  ),
});

/** `draft` with every limit of a step set. */
export const withLimit = (draft: Draft, step: number, value: string): Draft => ({
  ...draft,
  steps: draft.steps.map((row, k) => (k === step ? { ...row, limits: row.limits.map(() => value) } : row)),
});

/** `draft` with one more step, empty but for the limits of the last. */
export function withStep(draft: Draft): Draft {
  const last = draft.steps.at(-1);
  if (draft.steps.length >= MAX_STEPS || last === undefined) return draft;
  return { ...draft, steps: [...draft.steps, { quantities: last.quantities.map(() => ""), limits: last.limits }] };
}

export const withoutStep = (draft: Draft, step: number): Draft =>
  draft.steps.length === 1 ? draft : { ...draft, steps: draft.steps.filter((_, k) => k !== step) };

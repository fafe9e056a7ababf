/** The resources of the HTTP API as types, with their decoders. Money is micro-euro, prices micro-euro per kWh, energy Wh. */
import { type Decoded, flag, hex, instant, integer, list, measured, nullable, object, oneOf, record, text } from "./decode";

export const SESSION_STATES = [
  "Scheduled",
  "Open",
  "Closed",
  "Cleared",
  "UnderReview",
  "Delivering",
  "Settling",
  "Settled",
  "Cancelled",
] as const;

export const status = object({
  version: text,
  chain: object({
    backend: text,
    chain_id: integer,
    block: integer,
    time: instant,
    simulated: flag,
    development: flag,
    contracts: object({ FlexMarket: hex(20) }),
  }),
  data: nullable(object({ source: text, homes: integer, synthetic: list(text) })),
  message: nullable(text),
});
export type Status = Decoded<typeof status>;

const sessionShape = {
  id: integer,
  zone: object({ id: integer, offset_seconds: integer, interval_minutes: integer }),
  kind: text,
  direction: oneOf("UP", "DOWN"),
  mode: oneOf("competitive", "cooperative", "block", "request"),
  state: oneOf(...SESSION_STATES),
  day: integer,
  date: text,
  intervals: list(integer),
  gate_open: instant,
  gate_close: instant,
  delivery_start: instant,
  delivery_end: instant,
  exemption_deadline: instant,
  proof_deadline: instant,
  price_cap: integer,
  min_quantity_wh: integer,
  collateral_ppm: integer,
  fee_ppm: integer,
  fee_account: nullable(integer),
  intake_fee: integer,
  orders: integer,
  entries: integer,
  volume_wh: nullable(integer),
} as const;

export const session = object(sessionShape);
export type Session = Decoded<typeof session>;
export type SessionState = Session["state"];

export const sessions = object({ items: list(session) });

const clearedInterval = object({
  interval: integer,
  price: nullable(integer),
  lo: nullable(integer),
  hi: nullable(integer),
  share: nullable(integer),
  volume_wh: integer,
});
export type ClearedInterval = Decoded<typeof clearedInterval>;

const outsideBand = object({ intervals: list(integer), price: integer, low: integer, high: integer });
export type OutsideBand = Decoded<typeof outsideBand>;

const proposal = object({
  account: integer,
  welfare: integer,
  volume_wh: integer,
  gap: nullable(measured),
  best: flag,
  accepted: flag,
  inside_band: flag,
  tx: hex(32),
});
export type Proposal = Decoded<typeof proposal>;

const transaction = object({
  kind: text,
  hash: hex(32),
  gas: nullable(integer),
  block: nullable(integer),
  time: nullable(instant),
});
export type Transaction = Decoded<typeof transaction>;

const settlement = object({
  rewards: integer,
  penalties: integer,
  refunds: integer,
  fees: integer,
  replacements: integer,
  intake_fees: integer,
  rounding: integer,
  balanced: flag,
});
export type Settlement = Decoded<typeof settlement>;

export const sessionDetail = object({
  ...sessionShape,
  cleared: list(clearedInterval),
  proposals: list(proposal),
  outside: list(outsideBand),
  transactions: list(transaction),
  settlement: nullable(settlement),
  proofs: object({ expected: integer, verified: integer }),
});
export type SessionDetail = Decoded<typeof sessionDetail>;

const level = object({ price: integer, quantity_wh: integer, account: integer });
export type Level = Decoded<typeof level>;

const bookInterval = object({ interval: integer, bids: list(level), offers: list(level) });
export type BookInterval = Decoded<typeof bookInterval>;

export const book = object({ intervals: list(bookInterval) });
export type Book = Decoded<typeof book>;

const orderRow = object({
  position: nullable(integer),
  account: integer,
  label: nullable(text),
  agent: nullable(integer),
  payer: integer,
  side: oneOf("bid", "offer"),
  reserve: flag,
  live: flag,
  cancels: flag,
  steps: list(object({ quantities: list(integer), limits: list(integer) })),
  fills: nullable(list(integer)),
  lock: integer,
  status: oneOf("pending", "confirmed", "failed"),
  tx: nullable(hex(32)),
});
export type OrderRow = Decoded<typeof orderRow>;
export const orders = object({ items: list(orderRow) });

const delivery = object({
  account: integer,
  label: nullable(text),
  promised: list(integer),
  delivered: nullable(list(nullable(integer))),
  deviations: nullable(list(nullable(integer))),
  state: oneOf("waiting", "proving", "verified", "failed"),
  error: nullable(text),
  tx: nullable(hex(32)),
  batch: nullable(integer),
  verify_gas: nullable(integer),
  prove_ms: nullable(measured),
});
export type Delivery = Decoded<typeof delivery>;
export const deliveries = object({ items: list(delivery) });

const statementLine = object({
  interval: integer,
  fill_wh: integer,
  price: nullable(integer),
  delivered_wh: nullable(integer),
  ratio_ppm: nullable(integer),
  paid_ppm: nullable(integer),
  earned: nullable(integer),
  unpaid: nullable(integer),
  penalty: nullable(integer),
  refund: nullable(integer),
});
export type StatementLine = Decoded<typeof statementLine>;

const statement = object({
  account: integer,
  label: nullable(text),
  role: oneOf("seller", "buyer"),
  payer: integer,
  final: flag,
  earned: integer,
  unpaid: integer,
  penalty: integer,
  fee: integer,
  rating: integer,
  cost: integer,
  refund: integer,
  net: integer,
  lines: list(statementLine),
});
export type Statement = Decoded<typeof statement>;
export const statements = object({ items: list(statement) });

export const replacements = object({
  items: list(
    object({
      account: integer,
      label: nullable(text),
      reserve: integer,
      reserve_label: nullable(text),
      intervals: list(integer),
      extra: integer,
      consented: flag,
    }),
  ),
  failing: list(
    object({ account: integer, label: nullable(text), intervals: list(integer), needed: nullable(integer), replaceable: flag }),
  ),
});
export type Replacements = Decoded<typeof replacements>;
const explainedInterval = object({
  interval: integer,
  price: nullable(integer),
  volume_wh: integer,
  marginal: list(object({ account: integer, side: oneOf("bid", "offer"), limit: integer, quantity_wh: integer })),
  without: list(object({ account: integer, price: nullable(integer), volume_wh: integer })),
});
export type ExplainedInterval = Decoded<typeof explainedInterval>;
export const explanation = object({ intervals: list(explainedInterval), participants_left_out: integer });
export type Explanation = Decoded<typeof explanation>;

const alertOutcome = oneOf("dismissed", "confirmed");
export type AlertOutcome = Decoded<typeof alertOutcome>;

export const alert = object({
  id: integer,
  session: integer,
  detector: text,
  severity: oneOf("notice", "alert"),
  open: flag,
  made: instant,
  hash: hex(32),
  evidence: object({
    intervals: list(integer),
    accounts: list(integer),
    suspects: list(object({ account: integer, side: oneOf("bid", "offer") })),
    figures: record(integer),
    impact: nullable(
      object({
        ppm: integer,
        money: integer,
        prices: list(nullable(integer)),
        prices_without: list(nullable(integer)),
      }),
    ),
  }),
  decisions: list(object({ outcome: alertOutcome, reason: text, transaction: hex(32) })),
});
export type Alert = Decoded<typeof alert>;
export const alerts = object({ items: list(alert) });

export const sentOrder = object({
  id: (value: unknown, path: string): string => (typeof value === "number" ? String(integer(value, path)) : text(value, path)),
  status: oneOf("pending", "confirmed", "failed"),
  tx: nullable(hex(32)),
  positions: nullable(list(integer)),
  message: nullable(text),
});
export type SentOrder = Decoded<typeof sentOrder>;

export const account = object({
  index: integer,
  owner: hex(20),
  delegate: nullable(object({ account: integer, owner: hex(20) })),
  label: nullable(text),
  meter: oneOf("none", "bound", "suspended"),
  envelope_wh: integer,
  available: integer,
  locked: integer,
  reputation: integer,
});
export type Account = Decoded<typeof account>;
export const accounts = object({ items: list(account) });

export const signer = object({ address: hex(20), counter: text });
export type Signer = Decoded<typeof signer>;

export const forecast = object({
  intervals: list(integer),
  load_wh: list(integer),
  pv_wh: list(integer),
  net_load_wh: list(integer),
  baseline_wh: nullable(list(integer)),
  flexible_wh: list(integer),
  method: text,
  day: object({ net_load_wh: list(integer) }),
});
export type Forecast = Decoded<typeof forecast>;

export const developmentWallet = object({ private_key: hex(32), address: hex(20), account: nullable(integer), warning: text });
export type DevelopmentWallet = Decoded<typeof developmentWallet>;

export const advanced = object({ time: instant, done: list(text) });
export type Advanced = Decoded<typeof advanced>;
export type AdvanceTarget = "gate_open" | "gate_close" | "delivery_start" | "delivery_end" | "settled";

/** What a person reads for an account without a label. */
export const accountName = (row: { label: string | null; account: number }): string => row.label ?? `Account ${row.account}`;

/** The HTTP API: one function per call, typed answers, and every failure as an `ApiError` with what the server said. */
import { type Decoder, DecodeError } from "./decode";
import * as r from "./resources";

export interface FieldProblem {
  readonly field: string;
  readonly expected: string;
  readonly got: string;
}

/** A call that did not succeed. `status` is 0 where no answer came. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string | null,
    readonly errors: readonly FieldProblem[] = [],
  ) {
    super(detail ?? title);
  }
}

const asText = (value: unknown): string =>
  typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);

/** The error in an answer's body (RFC 9457 problem details), or a plain one where the body is something else. */
export function problemOf(status: number, statusText: string, body: unknown): ApiError {
  const plain = statusText === "" ? `The server answered ${status}` : `${status} ${statusText}`;
  if (typeof body !== "object" || body === null) return new ApiError(status, plain, null);
  const { title, detail, errors } = body as { title?: unknown; detail?: unknown; errors?: unknown };
  const fields = (Array.isArray(errors) ? errors : []).flatMap((item: unknown): FieldProblem[] => {
    if (typeof item !== "object" || item === null) return [];
    const { field, expected, got } = item as { field?: unknown; expected?: unknown; got?: unknown };
    return [{ field: asText(field), expected: asText(expected), got: asText(got) }];
  });
  return new ApiError(status, typeof title === "string" ? title : plain, typeof detail === "string" ? detail : null, fields);
}

async function call<T>(path: string, decode: Decoder<T>, init?: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, { ...init, headers: { Accept: "application/json", ...init?.headers } });
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ApiError(
      0,
      "No answer from the market server",
      "Check that it runs and that you are online. The page keeps trying.",
    );
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw problemOf(response.status, response.statusText, body);
  try {
    return decode(body, "");
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new ApiError(response.status, "The server's answer has an unexpected form", `${path}: ${cause.message}`, [
      { field: cause.path, expected: cause.expected, got: cause.got },
    ]);
  }
}

const get = <T>(path: string, decode: Decoder<T>, signal?: AbortSignal): Promise<T> =>
  call(path, decode, signal === undefined ? {} : { signal });

/** Reads what only a member may see; `authorization` is the header that lib/access.ts makes. */
const getPrivate = <T>(path: string, decode: Decoder<T>, authorization: string, signal?: AbortSignal): Promise<T> =>
  call(path, decode, { headers: { Authorization: authorization }, ...(signal === undefined ? {} : { signal }) });

const post = <T>(path: string, decode: Decoder<T>, body: unknown, authorization?: string): Promise<T> =>
  call(path, decode, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...(authorization === undefined ? {} : { Authorization: authorization }) },
    body: JSON.stringify(body),
  });

/** A signed batch as the API takes it. */
export interface SignedOrder {
  readonly signer: `0x${string}`;
  readonly words: readonly `0x${string}`[];
  readonly nonce: string;
  readonly counter: string;
  readonly deadline: number;
  readonly signature: `0x${string}`;
}

export const api = {
  status: (signal?: AbortSignal) => get("/status", r.status, signal),
  sessions: (signal?: AbortSignal) => get("/sessions", r.sessions, signal),
  session: (id: number, signal?: AbortSignal) => get(`/sessions/${id}`, r.sessionDetail, signal),
  book: (id: number, signal?: AbortSignal) => get(`/sessions/${id}/book`, r.book, signal),
  orders: (id: number, signal?: AbortSignal) => get(`/sessions/${id}/orders`, r.orders, signal),
  deliveries: (id: number, signal?: AbortSignal) => get(`/sessions/${id}/deliveries`, r.deliveries, signal),
  statements: (id: number, signal?: AbortSignal) => get(`/sessions/${id}/statements`, r.statements, signal),
  replacements: (id: number, signal?: AbortSignal) => get(`/sessions/${id}/replacements`, r.replacements, signal),
  explanation: (id: number, signal?: AbortSignal) => get(`/sessions/${id}/explanation`, r.explanation, signal),
  alerts: (token: string, onlyOpen: boolean, signal?: AbortSignal) =>
    getPrivate(`/surveillance/alerts?open=${onlyOpen}`, r.alerts, `Bearer ${token}`, signal),
  decideAlert: (token: string, id: number, outcome: r.AlertOutcome, reason: string) =>
    post(`/surveillance/alerts/${id}/decision`, r.alert, { outcome, reason }, `Bearer ${token}`),
  sendOrder: (id: number, order: SignedOrder) => post(`/sessions/${id}/orders`, r.sentOrder, order),
  sentOrder: (id: string, signal?: AbortSignal) => get(`/orders/${encodeURIComponent(id)}`, r.sentOrder, signal),
  accounts: (actor: string, signal?: AbortSignal) => get(`/accounts?actor=${actor}`, r.accounts, signal),
  signer: (address: string, signal?: AbortSignal) => get(`/signers/${address}`, r.signer, signal),
  account: (index: number, signal?: AbortSignal) => get(`/accounts/${index}`, r.account, signal),
  register: (owner: string) => post("/accounts", r.account, { owner }),
  forecast: (index: number, session: number, authorization: string, signal?: AbortSignal) =>
    getPrivate(`/accounts/${index}/forecast?session=${session}`, r.forecast, authorization, signal),
  developmentWallet: () => get("/dev/wallet", r.developmentWallet),
  developmentCounter: () => post("/dev/counter", r.signer, {}),
  faucet: (account: number, amount: number) => post("/dev/faucet", r.account, { account, amount }),
  advance: (to: r.AdvanceTarget, session: number) => post("/dev/advance", r.advanced, { to, session }),
};

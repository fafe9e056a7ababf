/**
 * The EIP-712 messages that a member signs: order batches (docs/protocol.md section 6) with their nonce, and statements
 * that let the page read the member's private data.
 */
import { hashTypedData, serializeTypedData, type TypedData } from "viem";

export const ORDER_BATCH = {
  OrderBatch: [
    { name: "session", type: "uint256" },
    { name: "words", type: "uint256[]" },
    { name: "nonce", type: "uint256" },
    { name: "counter", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
} as const;

export const READ_ACCESS = {
  ReadAccess: [
    { name: "account", type: "uint256" },
    { name: "until", type: "uint256" },
  ],
} as const;

const DOMAIN_TYPE = [
  { name: "name", type: "string" },
  { name: "version", type: "string" },
  { name: "chainId", type: "uint256" },
  { name: "verifyingContract", type: "address" },
] as const;

export interface OrderBatch {
  readonly chainId: number;
  /** The FlexMarket contract that will read the batch. */
  readonly market: `0x${string}`;
  readonly session: number;
  readonly words: readonly bigint[];
  readonly nonce: bigint;
  /** The signer's counter on chain; once that goes on, nobody can carry the batch. */
  readonly counter: bigint;
  /** Unix seconds after which nobody can carry the batch. */
  readonly deadline: number;
}

/** The message as viem's typed-data functions take it. */
export const orderBatchMessage = (batch: OrderBatch) =>
  ({
    domain: { name: "Wattproof", version: "1", chainId: batch.chainId, verifyingContract: batch.market },
    types: ORDER_BATCH,
    primaryType: "OrderBatch",
    message: {
      session: BigInt(batch.session),
      words: batch.words,
      nonce: batch.nonce,
      counter: batch.counter,
      deadline: BigInt(batch.deadline),
    },
  }) as const;

export type OrderBatchMessage = ReturnType<typeof orderBatchMessage>;

export interface ReadAccess {
  readonly chainId: number;
  /** The FlexMarket contract of the market whose server is read. */
  readonly market: `0x${string}`;
  readonly account: number;
  /** Seconds of chain time until which the statement holds. */
  readonly until: number;
}

/** The statement as viem's typed-data functions take it. */
export const readAccessMessage = (access: ReadAccess) =>
  ({
    domain: { name: "Wattproof", version: "1", chainId: access.chainId, verifyingContract: access.market },
    types: READ_ACCESS,
    primaryType: "ReadAccess",
    message: { account: BigInt(access.account), until: BigInt(access.until) },
  }) as const;

export type ReadAccessMessage = ReturnType<typeof readAccessMessage>;

/** What the page asks wallets to sign. */
export type SignableMessage = OrderBatchMessage | ReadAccessMessage;

/** What is signed: keccak of the domain separator and the message's hash. */
export const digestOf = (message: SignableMessage): `0x${string}` => hashTypedData<TypedData, string>(message);

/** The message as `eth_signTypedData_v4` takes it: with the domain's own type, without which wallets hash another domain. */
export function jsonOf({ domain, types, primaryType, message }: SignableMessage): string {
  const known: TypedData = { EIP712Domain: DOMAIN_TYPE, ...types };
  return serializeTypedData({ domain, primaryType, message, types: known });
}

/** A random 256-bit nonce: nonces are unordered and used once, so no counter has to be asked for. */
export function randomNonce(): bigint {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

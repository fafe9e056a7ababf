/**
 * Wallets in the browser: discovery by EIP-6963 with `window.ethereum` as fallback, connection, and signing of the page's
 * messages.
 */
import { getAddress, toFunctionSelector, type TypedData } from "viem";
import { api } from "./api";
import { hex, list } from "./decode";
import { jsonOf, type SignableMessage } from "./typed-data";

type Hex = `0x${string}`;

/** The part of EIP-1193 that the pages use. */
export interface Provider {
  request(call: { readonly method: string; readonly params?: readonly unknown[] }): Promise<unknown>;
  on?(event: string, listener: (value: unknown) => void): unknown;
  removeListener?(event: string, listener: (value: unknown) => void): unknown;
}

export interface FoundWallet {
  readonly id: string;
  readonly name: string;
  /** A data: address of the wallet's picture, null where it gave none that the page may show. */
  readonly icon: string | null;
  readonly provider: Provider;
}

/** A wallet that can sign for `address`. */
export interface Wallet {
  readonly kind: "injected" | "development";
  readonly name: string;
  readonly address: Hex;
  /** The chain the wallet is set to, null where it does not say. */
  readonly chainId: number | null;
  /** The account to show first, where the wallet belongs to one. */
  readonly preferredAccount: number | null;
  sign(message: SignableMessage): Promise<Hex>;
  /** Sends the transaction that makes everything this address has signed so far unusable. Ends when it is on its way. */
  incrementCounter(market: Hex): Promise<void>;
  /** Calls back when the wallet changes account (null: disconnected) or chain, until the returned function is called. */
  watch(changed: (address: Hex | null, chainId: number | null) => void): () => void;
}

/** What a wallet refused or failed to do, in words for people. */
export class WalletError extends Error {
  override readonly name = "WalletError";
}

/** An error of EIP-1193 as a `WalletError`: 4001 is the person's own refusal. */
export function walletError(cause: unknown): WalletError {
  if (cause instanceof WalletError) return cause;
  const { code, message } = (typeof cause === "object" && cause !== null ? cause : {}) as { code?: unknown; message?: unknown };
  if (code === 4001) return new WalletError("You rejected the request in the wallet. Nothing was signed or sent.");
  if (code === -32002) return new WalletError("The wallet already has a request open. Look for its window.");
  return new WalletError(`The wallet answered: ${typeof message === "string" && message !== "" ? message : "unknown error"}`);
}

interface Announcement {
  readonly info: { readonly uuid: string; readonly name: string; readonly icon: string };
  readonly provider: Provider;
}

const isProvider = (value: unknown): value is Provider =>
  typeof value === "object" && value !== null && "request" in value && typeof value.request === "function";

function readAnnouncement(detail: unknown): Announcement | null {
  if (typeof detail !== "object" || detail === null || !("info" in detail) || !("provider" in detail)) return null;
  const { info, provider } = detail;
  if (!isProvider(provider) || typeof info !== "object" || info === null) return null;
  const { uuid, name, icon } = info as { uuid?: unknown; name?: unknown; icon?: unknown };
  if (typeof uuid !== "string" || typeof name !== "string") return null;
  return { info: { uuid, name, icon: typeof icon === "string" ? icon : "" }, provider };
}

/** Calls `found` with the wallets of this browser, now and whenever another announces itself. Returns the end of listening. */
export function discoverWallets(found: (wallets: readonly FoundWallet[]) => void): () => void {
  const announced = new Map<string, FoundWallet>();
  const report = (): void => {
    const injected = (window as { ethereum?: unknown }).ethereum;
    if (announced.size > 0) found([...announced.values()]);
    else if (isProvider(injected)) found([{ id: "window.ethereum", name: "Browser wallet", icon: null, provider: injected }]);
    else found([]);
  };
  const listener = (event: Event): void => {
    const announcement = readAnnouncement((event as CustomEvent<unknown>).detail);
    if (announcement === null) return;
    const { info, provider } = announcement;
    announced.set(info.uuid, {
      id: info.uuid,
      name: info.name,
      icon: info.icon.startsWith("data:image/") ? info.icon : null,
      provider,
    });
    report();
  };
  window.addEventListener("eip6963:announceProvider", listener);
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  report();
  return () => window.removeEventListener("eip6963:announceProvider", listener);
}

const addresses = list(hex(20));

/** A signature whose last byte is 27 or 28, as contracts ask; some hardware wallets give 0 or 1. */
export function canonicalSignature(signature: Hex): Hex {
  if (signature.length !== 132) return signature;
  const last = Number.parseInt(signature.slice(-2), 16);
  return last < 27 ? `${signature.slice(0, -2) as Hex}${(last + 27).toString(16)}` : signature;
}

/** Asks a found wallet for its account; the wallet shows its own window. */
export async function connectWallet(found: FoundWallet): Promise<Wallet> {
  const { provider, name } = found;
  try {
    const [first] = addresses(await provider.request({ method: "eth_requestAccounts" }), "eth_requestAccounts");
    if (first === undefined) throw new WalletError("The wallet gave no account.");
    const chain: unknown = await provider.request({ method: "eth_chainId" }).catch(() => null);
    return injectedWallet(provider, name, getAddress(first), chainNumber(chain));
  } catch (cause) {
    throw walletError(cause);
  }
}

const INCREMENT_COUNTER = toFunctionSelector("incrementCounter()");

const chainNumber = (value: unknown): number | null =>
  typeof value === "string" && /^0x[0-9a-fA-F]+$/.test(value) ? Number(value) : null;

function injectedWallet(provider: Provider, name: string, address: Hex, chainId: number | null): Wallet {
  return {
    kind: "injected",
    name,
    address,
    chainId,
    preferredAccount: null,
    sign: async (message) => {
      try {
        const answer = await provider.request({ method: "eth_signTypedData_v4", params: [address, jsonOf(message)] });
        return canonicalSignature(hex()(answer, "signature"));
      } catch (cause) {
        throw walletError(cause);
      }
    },
    incrementCounter: async (market) => {
      try {
        await provider.request({
          method: "eth_sendTransaction",
          params: [{ from: address, to: market, data: INCREMENT_COUNTER }],
        });
      } catch (cause) {
        throw walletError(cause);
      }
    },
    watch: (changed) => {
      const onAccounts = (value: unknown): void => {
        const first: unknown = Array.isArray(value) ? value[0] : undefined;
        changed(typeof first === "string" ? getAddress(first) : null, chainId);
      };
      const onChain = (value: unknown): void => changed(address, chainNumber(value));
      provider.on?.("accountsChanged", onAccounts);
      provider.on?.("chainChanged", onChain);
      return () => {
        provider.removeListener?.("accountsChanged", onAccounts);
        provider.removeListener?.("chainChanged", onChain);
      };
    },
  };
}

/** The same wallet after it changed account or chain. */
export const movedWallet = (wallet: Wallet, found: FoundWallet, address: Hex, chainId: number | null): Wallet =>
  injectedWallet(found.provider, wallet.name, address, chainId);

/**
 * The wallet of a development chain. Its key comes from the server, is worth nothing anywhere else, and stays in this
 * page's memory. The signing code is loaded only when it is asked for.
 */
export async function developmentWallet(key: Hex, expected: Hex, account: number | null): Promise<Wallet> {
  const { privateKeyToAccount } = await import("viem/accounts");
  const signer = privateKeyToAccount(key);
  if (signer.address.toLowerCase() !== expected.toLowerCase()) {
    throw new WalletError(`The development key belongs to ${signer.address}, the server named ${expected}.`);
  }
  return {
    kind: "development",
    name: "Local development wallet",
    address: signer.address,
    chainId: null,
    preferredAccount: account,
    sign: (message) => signer.signTypedData<TypedData, string>(message),
    // The page has no way to a node of its own; the server has the key as well, and sends it.
    incrementCounter: async () => {
      await api.developmentCounter();
    },
    watch: () => () => undefined,
  };
}

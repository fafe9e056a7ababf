/**
 * Access to a member's private data: statements that the account's owner or delegate signed, kept as header values in this
 * page's memory only, one per chain, account and signer, until the chain's time passes them or the server refuses them.
 */
import { ApiError } from "./api";

/** Seconds of chain time that a statement may be valid for; the server refuses longer ones. */
export const LONGEST = 86_400;

/** Whose data are read, by whom, on which market. */
export interface Reader {
  readonly chainId: number;
  readonly market: `0x${string}`;
  readonly account: number;
  readonly signer: `0x${string}`;
}

export interface Access {
  /** Seconds of chain time. */
  readonly until: number;
  /** Value of the header `Authorization`. A secret: whoever has it can read. */
  readonly header: string;
}

/** Whole seconds of an instant of the API. */
export const secondsOf = (iso: string): number => Math.floor(Date.parse(iso) / 1000);

/** The access that `signature` gives. */
export const accessOf = (account: number, until: number, signature: `0x${string}`): Access => ({
  until,
  header: `ReadAccess ${account}.${until}.${signature}`,
});

/** One text per reader, for maps and query keys. */
export const readerKey = ({ chainId, market, account, signer }: Reader): string =>
  [chainId, market, account, signer].join(":").toLowerCase();

/** The accesses of this page; `subscribe` and `held` are what React's useSyncExternalStore asks for. */
export class AccessStore {
  readonly #held = new Map<string, Access>();
  readonly #listeners = new Set<() => void>();

  readonly subscribe = (changed: () => void): (() => void) => {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  };

  /** The reader's access, null where there is none or `now` (seconds of chain time) has passed it. */
  held(reader: Reader, now: number): Access | null {
    const access = this.#held.get(readerKey(reader));
    return access !== undefined && now <= access.until ? access : null;
  }

  keep(reader: Reader, access: Access): void {
    this.#held.set(readerKey(reader), access);
    this.#changed();
  }

  /** Forgets `access`, but not a newer one that has taken its place. */
  drop(reader: Reader, access: Access): void {
    const key = readerKey(reader);
    if (this.#held.get(key) !== access) return;
    this.#held.delete(key);
    this.#changed();
  }

  clear(): void {
    if (this.#held.size === 0) return;
    this.#held.clear();
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/**
 * What `read` gives for the reader's access. Where none is held, or the server answers 401 to it, `sign` gets a new one,
 * once; null means that the member has to be asked, and the refusal stands. An access refused with 401 is forgotten.
 */
export async function readPrivate<T>(
  store: AccessStore,
  reader: Reader,
  now: number,
  sign: (() => Promise<Access>) | null,
  read: (header: string) => Promise<T>,
): Promise<T> {
  const attempt = async (access: Access): Promise<T> => {
    try {
      return await read(access.header);
    } catch (cause) {
      if (isRefused(cause)) store.drop(reader, access);
      throw cause;
    }
  };
  const held = store.held(reader, now);
  if (held !== null) {
    try {
      return await attempt(held);
    } catch (cause) {
      if (sign === null || !isRefused(cause)) throw cause;
    }
  }
  if (sign === null) throw new Error("Your signature is needed to read this; the last one is no longer valid.");
  const fresh = await sign();
  store.keep(reader, fresh);
  return attempt(fresh);
}

/** Whether the server did not take the access. */
export const isRefused = (cause: unknown): boolean => cause instanceof ApiError && cause.status === 401;

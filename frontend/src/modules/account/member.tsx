/** Who uses the page: the connected wallet, its accounts on chain, and the one in use. */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { AccessStore } from "../../lib/access";
import { api } from "../../lib/api";
import { FORECAST, useAccounts } from "../../lib/queries";
import type { Account } from "../../lib/resources";
import {
  connectWallet,
  developmentWallet,
  discoverWallets,
  type FoundWallet,
  movedWallet,
  type Wallet,
} from "../../lib/wallet";

interface Member {
  readonly found: readonly FoundWallet[];
  readonly wallet: Wallet | null;
  /** What the server says about the development wallet, once connected to it. */
  readonly warning: string | null;
  readonly accounts: ReturnType<typeof useAccounts>;
  readonly account: Account | null;
  /** The wallet's own account that acts for the one in use, its delegate; null where the wallet owns the one in use. */
  readonly agent: Account | null;
  /** What the wallet signed for reading; forgotten when it disconnects or moves to another address. */
  readonly access: AccessStore;
  readonly connecting: boolean;
  readonly error: unknown;
  connect(wallet: FoundWallet): void;
  connectDevelopment(): void;
  disconnect(): void;
  choose(index: number): void;
}

const MemberContext = createContext<Member | null>(null);

export function useMember(): Member {
  const member = useContext(MemberContext);
  if (member === null) throw new Error("useMember needs a MemberProvider above it");
  return member;
}

export function MemberProvider({ children }: { children: ReactNode }) {
  const [found, setFound] = useState<readonly FoundWallet[]>([]);
  const [source, setSource] = useState<FoundWallet | null>(null);
  const [wallet, setWallet] = useState<Wallet | null>(null);
  const [warning, setWarning] = useState<string | null>(null);
  const [chosen, setChosen] = useState<number | null>(null);
  const [connecting, setConnecting] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [access] = useState(() => new AccessStore());
  const client = useQueryClient();
  const address = wallet?.address ?? null;
  const accounts = useAccounts(address);

  useEffect(() => discoverWallets(setFound), []);

  const disconnect = useCallback(() => {
    setWallet(null);
    setSource(null);
    setWarning(null);
    setChosen(null);
    setError(null);
  }, []);

  useEffect(
    () =>
      wallet?.watch((address, chainId) => {
        if (address === null || source === null) disconnect();
        else setWallet(movedWallet(wallet, source, address, chainId));
      }),
    [wallet, source, disconnect],
  );

  useEffect(() => {
    if (address === null) return undefined;
    return () => {
      access.clear();
      client.removeQueries({ queryKey: [FORECAST] });
    };
  }, [address, access, client]);

  const attempt = useCallback(async (work: () => Promise<void>) => {
    setConnecting(true);
    setError(null);
    try {
      await work();
    } catch (cause) {
      setError(cause);
    } finally {
      setConnecting(false);
    }
  }, []);

  const connect = useCallback(
    (next: FoundWallet) =>
      void attempt(async () => {
        setWallet(await connectWallet(next));
        setSource(next);
        setWarning(null);
      }),
    [attempt],
  );

  const connectDevelopment = useCallback(
    () =>
      void attempt(async () => {
        const given = await api.developmentWallet();
        setWallet(await developmentWallet(given.private_key, given.address, given.account));
        setSource(null);
        setWarning(given.warning);
        void client.invalidateQueries({ queryKey: ["accounts"] });
      }),
    [attempt, client],
  );

  const items = accounts.data?.items;
  const account = useMemo(() => {
    const wanted = chosen ?? wallet?.preferredAccount ?? null;
    if (wallet === null) return null;
    const own = items?.find((item) => isOwner(item, wallet));
    return items?.find((item) => item.index === wanted) ?? own ?? items?.[0] ?? null;
  }, [items, chosen, wallet]);
  const agent =
    wallet === null || account === null || isOwner(account, wallet)
      ? null
      : (items?.find((item) => item.index === account.delegate?.account) ?? null);

  const value: Member = {
    found,
    wallet,
    warning,
    accounts,
    account,
    agent,
    access,
    connecting,
    error,
    connect,
    connectDevelopment,
    disconnect,
    choose: setChosen,
  };
  return <MemberContext value={value}>{children}</MemberContext>;
}

/** Whether a wallet's address owns an account. */
export const isOwner = (account: Account, wallet: Wallet): boolean =>
  account.owner.toLowerCase() === wallet.address.toLowerCase();

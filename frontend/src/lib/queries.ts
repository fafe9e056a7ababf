/** The page's data as live queries: polled every few seconds while the page is visible, slowly once a session is final. */
import { QueryClient, queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { type Access, type AccessStore, readPrivate, type Reader, readerKey } from "./access";
import { api, ApiError } from "./api";
import type { SessionState } from "./resources";
import { isFinal, takesOrders } from "./standing";

const LIVE_MS = 4_000;
const FINAL_MS = 60_000;

/** First part of the keys of queries for forecasts, which are forgotten with the wallet. */
export const FORECAST = "forecast";

export const makeQueryClient = (): QueryClient =>
  new QueryClient({
    defaultOptions: {
      queries: {
        // A refusal stays a refusal; only a missing answer or a server failure is worth another try.
        retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
        retryDelay: 800,
        staleTime: 1_000,
      },
    },
  });

export const statusQuery = queryOptions({ queryKey: ["status"], queryFn: ({ signal }) => api.status(signal) });

export const useStatus = () => useQuery({ ...statusQuery, refetchInterval: LIVE_MS });

export const useSessions = () =>
  useQuery({ queryKey: ["sessions"], queryFn: ({ signal }) => api.sessions(signal), refetchInterval: LIVE_MS });

export const useSession = (id: number) =>
  useQuery({
    queryKey: ["session", id],
    queryFn: ({ signal }) => api.session(id, signal),
    refetchInterval: (query) => (query.state.data !== undefined && isFinal(query.state.data.state) ? FINAL_MS : LIVE_MS),
  });

/** Asks for everything of a session again the moment its state changes, however slow its polling is by then. */
export function useFreshOnChange(id: number, state: SessionState): void {
  const client = useQueryClient();
  const last = useRef(state);
  useEffect(() => {
    if (last.current === state) return;
    last.current = state;
    void client.invalidateQueries({ queryKey: ["session", id] });
  }, [client, id, state]);
}

const pace = (state: SessionState): number => (isFinal(state) ? FINAL_MS : LIVE_MS);

export const useBook = (id: number, state: SessionState) =>
  useQuery({ queryKey: ["session", id, "book"], queryFn: ({ signal }) => api.book(id, signal), refetchInterval: pace(state) });

export const useOrders = (id: number, state: SessionState) =>
  useQuery({
    queryKey: ["session", id, "orders"],
    queryFn: ({ signal }) => api.orders(id, signal),
    refetchInterval: pace(state),
  });

export const useDeliveries = (id: number, state: SessionState) =>
  useQuery({
    queryKey: ["session", id, "deliveries"],
    queryFn: ({ signal }) => api.deliveries(id, signal),
    refetchInterval: pace(state),
  });

export const useStatements = (id: number, state: SessionState) =>
  useQuery({
    queryKey: ["session", id, "statements"],
    queryFn: ({ signal }) => api.statements(id, signal),
    refetchInterval: pace(state),
  });

export const useReplacements = (id: number, state: SessionState) =>
  useQuery({
    queryKey: ["session", id, "replacements"],
    queryFn: ({ signal }) => api.replacements(id, signal),
    refetchInterval: pace(state),
  });

/** Why the prices are what they are; there is nothing to explain before the gate closes. */
export const useExplanation = (id: number, state: SessionState) =>
  useQuery({
    queryKey: ["session", id, "explanation"],
    queryFn: ({ signal }) => api.explanation(id, signal),
    enabled: !takesOrders(state),
    staleTime: FINAL_MS,
  });

/** The accounts that a wallet's address may place orders for: its own, and those whose delegate it owns. */
export const useAccounts = (actor: string | null) =>
  useQuery({
    queryKey: ["accounts", actor],
    queryFn: ({ signal }) => api.accounts(actor ?? "", signal),
    enabled: actor !== null,
    refetchInterval: LIVE_MS,
  });

/** What a wallet's address has to state in the orders that it signs now. */
export const useSigner = (address: string | null) =>
  useQuery({
    queryKey: ["signer", address],
    queryFn: ({ signal }) => api.signer(address ?? "", signal),
    enabled: address !== null,
    refetchInterval: LIVE_MS,
  });

/** What a member's private query reads with: whose, the access held and until when, and how to get one unasked. */
export interface PrivateReading {
  readonly reader: Reader;
  readonly store: AccessStore;
  /** Seconds of chain time. */
  readonly now: number;
  /** Signs a new access without asking; null where the member has to be asked. */
  readonly sign: (() => Promise<Access>) | null;
}

/** The forecast of the reader's account; waits while `enabled` is false or nothing is known to read with. */
export const useForecast = (reading: PrivateReading | null, session: number, enabled: boolean) =>
  useQuery({
    queryKey: [FORECAST, reading === null ? null : readerKey(reading.reader), session],
    queryFn: ({ signal }) => {
      if (reading === null) throw new Error("a forecast was asked for before the chain and the wallet are known");
      const { reader, store, now, sign } = reading;
      return readPrivate(store, reader, now, sign, (header) => api.forecast(reader.account, session, header, signal));
    },
    enabled: enabled && reading !== null,
    staleTime: 300_000,
    // No forecast (404) is an answer too: a meter without readings has none.
    retry: false,
  });

/** An order that was sent, asked for every second until the chain has decided. */
export const useSentOrder = (id: string | null) =>
  useQuery({
    queryKey: ["sent", id],
    queryFn: ({ signal }) => api.sentOrder(id ?? "", signal),
    enabled: id !== null,
    refetchInterval: (query) => (query.state.data === undefined || query.state.data.status === "pending" ? 1_000 : false),
  });

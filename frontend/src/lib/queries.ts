/** The page's data as live queries: polled every few seconds while the page is visible, slowly once a session is final. */
import { QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { api, ApiError } from "./api";
import type { SessionState } from "./resources";
import { isFinal } from "./standing";

const LIVE_MS = 4_000;
const FINAL_MS = 60_000;

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

export const useStatus = () =>
  useQuery({ queryKey: ["status"], queryFn: ({ signal }) => api.status(signal), refetchInterval: LIVE_MS });

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

export const useAccounts = (owner: string | null) =>
  useQuery({
    queryKey: ["accounts", owner],
    queryFn: ({ signal }) => api.accounts(owner ?? "", signal),
    enabled: owner !== null,
    refetchInterval: LIVE_MS,
  });

export const useForecast = (account: number, session: number) =>
  useQuery({
    queryKey: ["forecast", account, session],
    queryFn: ({ signal }) => api.forecast(account, session, signal),
    staleTime: 300_000,
    // No forecast (404) is an answer too: an account without a meter has none.
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

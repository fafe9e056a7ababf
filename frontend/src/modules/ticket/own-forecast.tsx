/**
 * A member's own forecast, which only the member may read: the wallet signs a statement for it, the development wallet
 * unasked, any other when the member presses the button.
 */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { type Access, accessOf, isRefused, LONGEST, type Reader, secondsOf } from "../../lib/access";
import { ApiError } from "../../lib/api";
import { statusQuery, useForecast, useStatus } from "../../lib/queries";
import type { Account, Forecast, SessionDetail } from "../../lib/resources";
import { readAccessMessage } from "../../lib/typed-data";
import { useMember } from "../account/member";
import { Loading, Note, Problem } from "../ui/feedback";
import { ForecastPlot } from "./forecast-plot";

export type OwnForecast =
  | { readonly at: "none" }
  | { readonly at: "locked"; readonly signing: boolean; readonly error: unknown; readonly show: () => void }
  | { readonly at: "loading" }
  | { readonly at: "shown"; readonly forecast: Forecast }
  | { readonly at: "failed"; readonly error: unknown; readonly retry: () => void };

/** What the state of `OwnForecast` follows from. */
export interface Known {
  readonly hasMeter: boolean;
  /** The wallet signs without asking the member. */
  readonly silent: boolean;
  /** A statement that is valid now is there. */
  readonly held: boolean;
  readonly asked: { readonly isPending: boolean; readonly error: unknown };
  readonly query: { readonly data: Forecast | undefined; readonly error: unknown };
  readonly show: () => void;
  readonly retry: () => void;
}

export function stateOf({ hasMeter, silent, held, asked, query, show, retry }: Known): OwnForecast {
  if (!hasMeter) return { at: "none" };
  if (!silent && !held) {
    // A statement that the server refused ends here too: its words say why another signature is asked for.
    const refused = isRefused(query.error) ? query.error : null;
    return { at: "locked", signing: asked.isPending, error: asked.isPending ? null : (asked.error ?? refused), show };
  }
  if (query.data !== undefined) return { at: "shown", forecast: query.data };
  if (query.error === null) return { at: "loading" };
  if (query.error instanceof ApiError && query.error.status === 404) return { at: "none" };
  return { at: "failed", error: query.error, retry };
}

/** The forecast of `account` for a session. Accounts without a meter have none: nothing is signed or asked for them. */
export function useOwnForecast(account: Account, session: number): OwnForecast {
  const { wallet, access } = useMember();
  const client = useQueryClient();
  const chain = useStatus().data?.chain ?? null;
  const reader: Reader | null =
    wallet === null || chain === null
      ? null
      : {
          chainId: chain.chain_id,
          market: chain.contracts.FlexMarket,
          account: account.index,
          signer: wallet.address,
        };
  const now = chain === null ? 0 : secondsOf(chain.time);
  const held = useSyncExternalStore(access.subscribe, () => (reader === null ? null : access.held(reader, now)));
  const silent = wallet?.kind === "development";

  const sign = async (): Promise<Access> => {
    if (wallet === null || reader === null) throw new Error("Connect a wallet to sign.");
    // The time that the page shows may be seconds old, and a simulated clock jumps by days.
    const { chain: latest } = await client.fetchQuery({ ...statusQuery, staleTime: 0 });
    const until = secondsOf(latest.time) + LONGEST;
    return accessOf(reader.account, until, await wallet.sign(readAccessMessage({ ...reader, until })));
  };
  const asked = useMutation({
    mutationFn: async () => {
      const fresh = await sign();
      if (reader !== null) access.keep(reader, fresh);
    },
  });
  const reading = reader === null ? null : { reader, store: access, now, sign: silent ? sign : null };
  const query = useForecast(reading, session, account.meter === "bound" && (silent || held !== null));
  return stateOf({
    hasMeter: account.meter === "bound",
    silent,
    held: held !== null,
    asked,
    query,
    show: () => asked.mutate(),
    retry: () => void query.refetch(),
  });
}

export function OwnForecastView({ session, state }: { session: SessionDetail; state: OwnForecast }) {
  switch (state.at) {
    case "none":
      return <Note>There is no forecast for this account: it needs a meter with some days of readings.</Note>;
    case "locked":
      return (
        <>
          <Note>
            <p>
              Your forecast is private: sign once to see it; the signature only gives reading, for this account, for a day.
            </p>
            <button type="button" className="button button-small" disabled={state.signing} onClick={state.show}>
              {state.signing ? "Waiting for the wallet…" : "Show my forecast"}
            </button>
          </Note>
          {state.error !== null && <Problem error={state.error} />}
        </>
      );
    case "loading":
      return <Loading label="your forecast" lines={5} />;
    case "shown":
      return <ForecastPlot session={session} forecast={state.forecast} />;
    case "failed":
      return <Problem error={state.error} retry={state.retry} />;
  }
}

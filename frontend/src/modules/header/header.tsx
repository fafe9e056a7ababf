/** The bar on top: the product, the chain it runs on, and the connected account with its balance. */
import type { UseQueryResult } from "@tanstack/react-query";
import { formats } from "../../lib/format";
import type { Status } from "../../lib/resources";
import { offsetName } from "../../lib/time";
import { useMember } from "../account/member";
import { Moment } from "../ui/parts";

const BACKENDS: Record<string, string> = { anvil: "Local anvil node", tester: "In-process test chain", node: "Ethereum node" };

export function Header({ status, offset }: { status: UseQueryResult<Status>; offset: number }) {
  return (
    <header className="topbar">
      <div className="topbar-inner">
        <a className="brand" href="#/" aria-label="Wattproof, to the current session">
          <svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true">
            <rect width="32" height="32" rx="8" className="brand-tile" />
            <path d="M18.2 5 8.6 17.4h6.1L13.4 27l10-13h-6.3z" className="brand-bolt" />
          </svg>
          <span>Wattproof</span>
        </a>
        <ChainStatus status={status} offset={offset} />
        <Balance />
      </div>
    </header>
  );
}

function ChainStatus({ status, offset }: { status: UseQueryResult<Status>; offset: number }) {
  if (status.data === undefined) {
    return (
      <p className={`chain ${status.isError ? "chain-off" : ""}`} role="status">
        <span className="chain-dot" aria-hidden="true" />
        {status.isError ? "Market server not reachable" : "Connecting to the market…"}
      </p>
    );
  }
  const { chain } = status.data;
  return (
    <div className={`chain ${status.isError ? "chain-off" : ""}`}>
      <span className="chain-dot" aria-hidden="true" />
      <dl className="chain-facts">
        <div>
          <dt>Chain</dt>
          <dd>
            {BACKENDS[chain.backend] ?? chain.backend} <span className="muted">· id {chain.chain_id}</span>
          </dd>
        </div>
        <div>
          <dt>Block</dt>
          <dd>{formats.integer(chain.block)}</dd>
        </div>
        <div>
          <dt>Chain time</dt>
          <dd>
            <Moment iso={chain.time} offset={offset} parts="short" /> <span className="muted">{offsetName(offset)}</span>
            {chain.simulated && <span className="tag">simulated</span>}
          </dd>
        </div>
      </dl>
      {status.isError && <span className="tag tag-bad">connection lost</span>}
    </div>
  );
}

function Balance() {
  const { wallet, account } = useMember();
  if (wallet === null) {
    return (
      <button
        type="button"
        className="button button-primary topbar-connect"
        onClick={() => {
          const panel = document.getElementById("account-panel");
          panel?.scrollIntoView({ block: "center" });
          panel?.focus({ preventScroll: true });
        }}
      >
        Connect a wallet
      </button>
    );
  }
  if (account === null) return <p className="balance muted">No account yet</p>;
  return (
    <dl className="balance" aria-label={`Balance of ${account.label ?? `account ${account.index}`}`}>
      <div className="balance-name">
        <dt>Account</dt>
        <dd>{account.label ?? `Account ${account.index}`}</dd>
      </div>
      <div>
        <dt>Available</dt>
        <dd data-testid="balance-available" title={formats.exactMoney(account.available)}>
          {formats.money(account.available)}
        </dd>
      </div>
      <div>
        <dt>Locked</dt>
        <dd data-testid="balance-locked" title={formats.exactMoney(account.locked)}>
          {formats.money(account.locked)}
        </dd>
      </div>
    </dl>
  );
}

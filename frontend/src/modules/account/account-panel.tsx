/** The account panel: connect a wallet, register, see the balance, get play money on a development chain. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../lib/api";
import { formats, shortHex } from "../../lib/format";
import type { Account, Status } from "../../lib/resources";
import { Badge, Section } from "../ui/parts";
import { Loaded, Note, Problem } from "../ui/feedback";
import { Dialog } from "../ui/dialog";
import { useSigner } from "../../lib/queries";
import { isOwner, useMember } from "./member";

const PLAY_MONEY = 20_000_000;

export function AccountPanel({ status }: { status: Status }) {
  const member = useMember();
  return (
    <Section
      title="Your account"
      aside={
        member.wallet !== null && (
          <button type="button" className="button button-quiet button-small" onClick={member.disconnect}>
            Disconnect
          </button>
        )
      }
    >
      <div id="account-panel" tabIndex={-1} className="stack">
        {member.wallet === null ? <Connect development={status.chain.development} /> : <Connected status={status} />}
        {member.error !== null && <Problem error={member.error} />}
      </div>
    </Section>
  );
}

function Connect({ development }: { development: boolean }) {
  const { found, connect, connectDevelopment, connecting } = useMember();
  return (
    <>
      <p className="muted">
        Connect a wallet to see your forecast and balance and to trade. You sign here; the market never holds your key.
      </p>
      <div className="stack-tight">
        {found.map((wallet) => (
          <button
            key={wallet.id}
            type="button"
            className="button button-wide"
            disabled={connecting}
            onClick={() => connect(wallet)}
          >
            {wallet.icon !== null && <img src={wallet.icon} alt="" width={20} height={20} />}
            {wallet.name}
          </button>
        ))}
        {development && (
          <>
            <button
              type="button"
              className="button button-wide button-dashed"
              data-testid="connect-dev-wallet"
              disabled={connecting}
              onClick={connectDevelopment}
            >
              Local development wallet
            </button>
            <p className="hint">
              For trying things out on this development chain. Its key is public: never send anything of value to it.
            </p>
          </>
        )}
        {found.length === 0 && !development && (
          <Note>No wallet found in this browser. Install one that announces itself by EIP-6963, then reload the page.</Note>
        )}
      </div>
      {connecting && (
        <p className="hint" role="status">
          Waiting for the wallet…
        </p>
      )}
    </>
  );
}

function Connected({ status }: { status: Status }) {
  const { wallet, warning, accounts, account, choose } = useMember();
  if (wallet === null) return null;
  const otherChain = wallet.chainId !== null && wallet.chainId !== status.chain.chain_id;
  return (
    <>
      <p className="wallet-line">
        <span className="wallet-dot" aria-hidden="true" />
        {wallet.name}
        <code className="hash" title={wallet.address}>
          {shortHex(wallet.address)}
        </code>
      </p>
      {warning !== null && <Note tone="warn">{warning}</Note>}
      {otherChain && (
        <Note tone="warn">
          Your wallet is set to chain {wallet.chainId}, this market runs on chain {status.chain.chain_id}. Switch the wallet to
          that chain before you sign.
        </Note>
      )}
      <Loaded query={accounts} label="your accounts" lines={2}>
        {({ items }) =>
          account === null ? (
            <Register owner={wallet.address} />
          ) : (
            <>
              {items.length > 1 && (
                <label className="field">
                  <span>Account in use</span>
                  <select value={account.index} onChange={(event) => choose(Number(event.target.value))}>
                    {items.map((item) => (
                      <option key={item.index} value={item.index}>
                        {item.label ?? `Account ${item.index}`}
                        {!isOwner(item, wallet) && " (you act for it)"}
                      </option>
                    ))}
                  </select>
                </label>
              )}
              <Balance account={account} />
              <Acting account={account} />
              {!items.some((item) => isOwner(item, wallet)) && <Register owner={wallet.address} />}
              {status.chain.development && <Faucet account={account} />}
              <TakeBack status={status} />
            </>
          )
        }
      </Loaded>
    </>
  );
}

const METER: Record<Account["meter"], { tone: "good" | "warn" | "bad"; name: string; hint: string }> = {
  bound: { tone: "good", name: "Meter registered", hint: "" },
  none: {
    tone: "warn",
    name: "No meter: bids only",
    hint: "Only accounts with a registered meter can offer, because a delivery is proven from the meter's signed readings.",
  },
  suspended: {
    tone: "bad",
    name: "Meter suspended: bids only",
    hint: "The meter's key signed two different histories, which was proven on chain. The metering operator can register a new key; live offers can be taken back.",
  },
};

function Balance({ account }: { account: Account }) {
  return (
    <>
      <p className="account-name">
        <strong>{account.label ?? `Account ${account.index}`}</strong>{" "}
        <Badge tone={METER[account.meter].tone}>{METER[account.meter].name}</Badge>
      </p>
      {METER[account.meter].hint !== "" && <p className="hint">{METER[account.meter].hint}</p>}
    </>
  );
}

/** Who may act for the account, and for whom the wallet acts. */
function Acting({ account }: { account: Account }) {
  const { agent, wallet } = useMember();
  if (account.delegate === null || wallet === null) return null;
  return agent !== null ? (
    <p className="hint">
      This account is another's. You place orders for it with your account {agent.index}, its delegate; you cannot withdraw its
      money.
    </p>
  ) : (
    <p className="hint">
      Account {account.delegate.account} is its delegate: the owner{" "}
      <code className="hash" title={account.delegate.owner}>
        {shortHex(account.delegate.owner)}
      </code>{" "}
      may place orders for it and read its forecast.
    </p>
  );
}

/** Makes every order that the wallet has signed and nobody has carried to the chain unusable, by one transaction. */
function TakeBack({ status }: { status: Status }) {
  const { wallet } = useMember();
  const signer = useSigner(wallet?.address ?? null);
  const [asking, setAsking] = useState(false);
  /** The counter when the transaction was sent. */
  const [sentAt, setSentAt] = useState<string | null>(null);
  const client = useQueryClient();
  const takeBack = useMutation({
    mutationFn: async () => {
      if (wallet === null || signer.data === undefined) return;
      await wallet.incrementCounter(status.chain.contracts.FlexMarket);
      setSentAt(signer.data.counter);
    },
    onSuccess: async () => {
      setAsking(false);
      await client.invalidateQueries({ queryKey: ["signer"] });
    },
  });
  if (wallet === null || signer.data === undefined) return null;
  const waiting = sentAt !== null && sentAt === signer.data.counter;
  return (
    <>
      <button
        type="button"
        className="button button-quiet button-small"
        data-testid="take-back"
        disabled={waiting}
        onClick={() => setAsking(true)}
      >
        Invalidate signed orders…
      </button>
      {sentAt !== null && (
        <p className="hint" role="status">
          {waiting ? "Sent. Waiting for the chain…" : "Done: nothing that you signed before can be used any more."}
        </p>
      )}
      {asking && (
        <Dialog title="Invalidate everything you signed?" close={() => setAsking(false)}>
          <p>
            Whoever holds an order that you signed can carry it to the chain until its gate closes. This transaction of your wallet
            makes <strong>all orders that you have signed so far</strong> and that are not on the chain yet unusable, for every
            account and every session.
          </p>
          <p className="hint">
            Orders that the chain has taken stay; cancel them one by one. The transaction costs gas. Your counter goes from{" "}
            {signer.data.counter} to {(BigInt(signer.data.counter) + 1n).toString()}.
          </p>
          {takeBack.isError && <Problem error={takeBack.error} />}
          <div className="dialog-actions">
            <button type="button" className="button" onClick={() => setAsking(false)}>
              Keep them
            </button>
            <button
              type="button"
              className="button button-primary"
              data-testid="take-back-confirm"
              disabled={takeBack.isPending}
              onClick={() => takeBack.mutate()}
            >
              {takeBack.isPending ? `Waiting for ${wallet.name}…` : "Invalidate them all"}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

function Register({ owner }: { owner: string }) {
  const client = useQueryClient();
  const register = useMutation({
    mutationFn: () => api.register(owner),
    onSuccess: () => client.invalidateQueries({ queryKey: ["accounts"] }),
  });
  return (
    <>
      <p>This wallet has no account in the market yet.</p>
      <button
        type="button"
        className="button button-primary button-wide"
        disabled={register.isPending}
        onClick={() => register.mutate()}
      >
        {register.isPending ? "Registering…" : "Register"}
      </button>
      {register.isError && <Problem error={register.error} />}
    </>
  );
}

function Faucet({ account }: { account: Account }) {
  const client = useQueryClient();
  const faucet = useMutation({
    mutationFn: () => api.faucet(account.index, PLAY_MONEY),
    onSuccess: () => client.invalidateQueries({ queryKey: ["accounts"] }),
  });
  return (
    <>
      <button type="button" className="button button-small" disabled={faucet.isPending} onClick={() => faucet.mutate()}>
        {faucet.isPending ? "Crediting…" : "Get play money"}
      </button>
      {faucet.isSuccess && (
        <p className="hint" role="status">
          {formats.money(PLAY_MONEY)} of play money credited.
        </p>
      )}
      {faucet.isError && <Problem error={faucet.error} />}
    </>
  );
}

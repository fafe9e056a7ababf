/** The order ticket: waits for what it needs to know, lets the side be chosen, and hands over to the form. */
import { useState } from "react";
import type { Side } from "../../lib/encoding";
import { useBook, useOrders } from "../../lib/queries";
import type { Account, SessionDetail } from "../../lib/resources";
import { takesOrders } from "../../lib/standing";
import { useMember } from "../account/member";
import { Empty, Loading } from "../ui/feedback";
import { Moment, Section } from "../ui/parts";
import { OrderResult } from "./order-result";
import { OwnForecastView, useOwnForecast } from "./own-forecast";
import { useSigning } from "./signing";
import { TicketForm } from "./ticket-form";

export function Ticket({ session }: { session: SessionDetail }) {
  const { account, wallet } = useMember();
  const { phase } = useSigning();
  const trading = takesOrders(session.state);
  const result = phase.at !== "idle" && phase.review.origin === "ticket";
  // After the gate only the result of an order sent before is of interest here.
  if (!trading && !result) return null;
  return (
    <Section title="Place an order" className="ticket">
      {session.state === "Scheduled" ? (
        <Empty>
          The gate opens at <Moment iso={session.gate_open} offset={session.zone.offset_seconds} />.
        </Empty>
      ) : session.state !== "Open" ? (
        <Empty>The gate is closed: this session takes no more orders.</Empty>
      ) : account === null ? (
        <Empty>{wallet === null ? "Connect a wallet to place an order." : "Register an account to place an order."}</Empty>
      ) : (
        <OpenTicket key={account.index} session={session} account={account} />
      )}
      <OrderResult origin="ticket" />
    </Section>
  );
}

function OpenTicket({ session, account }: { session: SessionDetail; account: Account }) {
  const [chosen, setSide] = useState<Side | null>(null);
  const side: Side = chosen ?? (account.meter === "bound" ? "offer" : "bid");
  const forecast = useOwnForecast(account, session.id);
  const book = useBook(session.id, session.state);
  const orders = useOrders(session.id, session.state);
  if (book.isPending) return <Loading label="the book" lines={5} />;
  const live = orders.data?.items.find(
    (o) => o.account === account.index && o.side === side && o.live && !o.cancels && o.status === "confirmed",
  );
  return (
    <div className="stack">
      <OwnForecastView session={session} state={forecast} />
      <fieldset className="sides">
        <legend className="visually-hidden">Side</legend>
        {(["offer", "bid"] as const).map((name) => (
          <label key={name} className={`side side-${name}`}>
            <input
              type="radio"
              name="side"
              value={name}
              checked={side === name}
              disabled={name === "offer" && account.meter !== "bound"}
              onChange={() => setSide(name)}
            />
            <span>{name === "offer" ? "Offer: sell flexibility" : "Bid: buy flexibility"}</span>
          </label>
        ))}
      </fieldset>
      {account.meter === "none" && <p className="hint">This account has no registered meter, so it can bid but not offer.</p>}
      {account.meter === "suspended" && (
        <p className="hint">This account's meter key is suspended, so it can bid and take offers back, but not offer.</p>
      )}
      <TicketForm
        key={side}
        session={session}
        account={account}
        side={side}
        flexible={forecast.at === "shown" ? forecast.forecast.flexible_wh : null}
        book={book.data?.intervals ?? []}
        replaces={live?.position ?? null}
      />
    </div>
  );
}

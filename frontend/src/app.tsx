/** The page: header, session chooser, and one session with its market, its ticket and its records. */
import { useEffect, useSyncExternalStore } from "react";
import { useFreshOnChange, useSession, useSessions, useStatus } from "./lib/queries";
import type { SessionDetail, Status } from "./lib/resources";
import { defaultSession, placeOf, sessionHref, takesOrders } from "./lib/standing";
import { AccountPanel } from "./modules/account/account-panel";
import { useMember } from "./modules/account/member";
import { Position } from "./modules/account/position";
import { AlertsPage } from "./modules/alerts/alerts-page";
import { SimulatedClock } from "./modules/clock/simulated-clock";
import { Header } from "./modules/header/header";
import { Curves } from "./modules/market/curves";
import { Explanation } from "./modules/market/explanation";
import { Results } from "./modules/market/results";
import { OrdersTable } from "./modules/records/orders-table";
import { ProofsTable } from "./modules/records/proofs-table";
import { ProposalsTable } from "./modules/records/proposals-table";
import { ReplacementsTable } from "./modules/records/replacements-table";
import { StatementsTable } from "./modules/records/statements-table";
import { Transactions } from "./modules/records/transactions";
import { SessionPicker } from "./modules/sessions/session-picker";
import { SessionSummary } from "./modules/sessions/session-summary";
import { SigningProvider } from "./modules/ticket/signing";
import { Ticket } from "./modules/ticket/ticket";
import { Empty, Loaded, Loading, Note, Problem } from "./modules/ui/feedback";
import { Section } from "./modules/ui/parts";

function useHash(): string {
  return useSyncExternalStore(
    (changed) => {
      window.addEventListener("hashchange", changed);
      return () => window.removeEventListener("hashchange", changed);
    },
    () => window.location.hash,
  );
}

export function App() {
  const status = useStatus();
  const sessions = useSessions();
  const hash = useHash();
  const place = placeOf(hash);
  const items = sessions.data?.items ?? [];
  const start = place.at === "start" ? (defaultSession(items)?.id ?? null) : null;
  const shown = place.at === "session" ? place.id : start;
  const offset = items.find((s) => s.id === shown)?.zone.offset_seconds ?? 0;
  // The address names the session from the start, so that the page stays with it when its state changes.
  useEffect(() => {
    if (start !== null) window.location.replace(sessionHref(start));
  }, [start]);
  const title = shown !== null ? `Session ${shown} · ` : { start: "", session: "", alerts: "Alerts · ", nowhere: "No such page · " }[place.at];
  useEffect(() => {
    document.title = `${title}Wattproof`;
  }, [title]);
  return (
    <>
      <button type="button" className="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the session
      </button>
      <Header status={status} offset={offset} />
      <div className="page">
        {status.data?.message != null && status.data.message !== "" && <Note>{status.data.message}</Note>}
        {items.length > 0 && shown !== null && <SessionPicker sessions={items} current={shown} />}
        <main id="main" tabIndex={-1}>
          {place.at === "alerts" ? (
            <AlertsPage />
          ) : place.at === "nowhere" ? (
            <NoSuchPage hash={hash} />
          ) : shown !== null ? (
            <SessionPage key={shown} id={shown} status={status.data ?? null} />
          ) : sessions.isError ? (
            <Problem error={sessions.error} retry={() => void sessions.refetch()} />
          ) : sessions.isPending ? (
            <Loading label="the sessions" lines={6} />
          ) : (
            <Empty>No trading session has been opened yet. As soon as the market operator opens one, it appears here.</Empty>
          )}
        </main>
        {status.data !== undefined && <Footer status={status.data} />}
      </div>
    </>
  );
}

function NoSuchPage({ hash }: { hash: string }) {
  return (
    <Section title="There is no such page">
      <p className="lead">
        Nothing is at <code>{hash}</code>. Sessions are at addresses such as <code>#/sessions/1</code>.
      </p>
      <a className="button" href="#/">
        To the current session
      </a>
    </Section>
  );
}

function SessionPage({ id, status }: { id: number; status: Status | null }) {
  const session = useSession(id);
  return (
    <Loaded query={session} label={`session ${id}`} lines={8}>
      {(data) =>
        status === null ? <Loading label="the chain's state" lines={8} /> : <OneSession session={data} status={status} />
      }
    </Loaded>
  );
}

function OneSession({ session, status }: { session: SessionDetail; status: Status }) {
  const { account } = useMember();
  useFreshOnChange(session.id, session.state);
  const trading = takesOrders(session.state);
  return (
    <SigningProvider session={session} status={status}>
      <SessionSummary session={session} now={status.chain.time} />
      <div className="layout">
        <div className="column">
          <Curves session={session} />
          <Results session={session} />
          <ProposalsTable session={session} />
          {explicable(session) && <Explanation session={session} />}
          {trading && (
            <div className="column after-ticket">
              <OrdersTable session={session} />
              <Transactions session={session} />
            </div>
          )}
        </div>
        <aside className="column" aria-label="Your account and orders">
          <AccountPanel status={status} />
          <Ticket session={session} />
          {!trading && account !== null && <Position key={account.index} session={session} account={account} />}
          {status.chain.development && status.chain.simulated && <SimulatedClock session={session} />}
        </aside>
      </div>
      <div className="column">
        {!trading && <OrdersTable session={session} />}
        <ProofsTable session={session} />
        <ReplacementsTable session={session} />
        <StatementsTable session={session} />
        {!trading && <Transactions session={session} />}
      </div>
    </SigningProvider>
  );
}

/** Whether the session's prices follow from a log that is final. */
const explicable = ({ mode, state, cleared }: SessionDetail): boolean =>
  (mode === "competitive" || mode === "cooperative") && !takesOrders(state) && cleared.length > 0;

function Footer({ status }: { status: Status }) {
  const { data } = status;
  return (
    <footer className="footer">
      <p>
        Wattproof {status.version}.
        {data !== null && (
          <>
            {" "}
            Readings: {data.source}, {data.homes} homes.
            {data.synthetic.length > 0 && <> Made up for the demonstration: {data.synthetic.join("; ")}.</>}
          </>
        )}
      </p>
      <p>
        The same data for programs: <a href="/api/v1/sessions">/api/v1</a>. For operator and guardian:{" "}
        <a href="#/alerts">alerts</a>.
      </p>
    </footer>
  );
}

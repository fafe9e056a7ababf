/** Alerts of the surveillance for the operator and the guardian: list, evidence, impact, and the guardian's decision. */
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../lib/api";
import { formats } from "../../lib/format";
import type { Alert } from "../../lib/resources";
import { ExpandableRow } from "../records/expandable";
import { Empty, Loaded, Note } from "../ui/feedback";
import { Badge, Hash, Moment, Section, TableFrame } from "../ui/parts";
import { DecisionDialog } from "./decision-dialog";

const COLUMNS = 6;

export function AlertsPage() {
  const [token, setToken] = useState<string | null>(null);
  return token === null ? <TokenForm enter={setToken} /> : <Alerts token={token} leave={() => setToken(null)} />;
}

function TokenForm({ enter }: { enter: (token: string) => void }) {
  const [typed, setTyped] = useState("");
  return (
    <Section
      title="Alerts"
      lead="A suspicion is not public: the operator and the guardian read alerts, the guardian alone decides. The token stays in this page until it is closed."
    >
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed.trim() !== "") enter(typed.trim());
        }}
      >
        <label className="field">
          <span>The operator's or the guardian's token</span>
          <input
            type="password"
            autoComplete="off"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
            data-testid="alerts-token"
          />
        </label>
        <button type="submit" className="button button-primary" disabled={typed.trim() === ""}>
          Show alerts
        </button>
      </form>
    </Section>
  );
}

function Alerts({ token, leave }: { token: string; leave: () => void }) {
  const [onlyOpen, setOnlyOpen] = useState(false);
  const alerts = useQuery({
    queryKey: ["alerts", token, onlyOpen],
    queryFn: ({ signal }) => api.alerts(token, onlyOpen, signal),
    refetchInterval: 10_000,
  });
  return (
    <Section
      title="Alerts"
      lead="A notice accuses nobody. An alert names whose conduct changed a price; the price otherwise is that of the session cleared again."
      aside={
        <>
          <label>
            <input type="checkbox" checked={onlyOpen} onChange={(event) => setOnlyOpen(event.target.checked)} /> only open ones
          </label>{" "}
          <button type="button" className="button button-small" onClick={leave}>
            Forget the token
          </button>
        </>
      }
    >
      <div data-testid="alerts-table">
        <Loaded query={alerts} label="alerts">
          {({ items }) =>
            items.length === 0 ? <Empty>Nothing was found.</Empty> : <AlertRows items={items} token={token} />
          }
        </Loaded>
      </div>
    </Section>
  );
}

export function AlertRows({ items, token }: { items: readonly Alert[]; token: string }) {
  const [deciding, setDeciding] = useState<Alert | null>(null);
  return (
    <>
      <TableFrame label="Alerts">
        <table>
          <caption className="visually-hidden">Alerts, newest session first</caption>
          <thead>
            <tr>
              <th scope="col">Found</th>
              <th scope="col">Session</th>
              <th scope="col">Accounts</th>
              <th scope="col" className="num">
                Price moved by
              </th>
              <th scope="col">State</th>
              <th scope="col">Decision</th>
            </tr>
          </thead>
          <tbody>
            {items.map((alert) => (
              <ExpandableRow
                key={alert.id}
                columns={COLUMNS}
                label={`Evidence of ${alert.severity} ${alert.id}`}
                head={<Found alert={alert} />}
                cells={
                  <>
                    <td>
                      <a href={`#/sessions/${alert.session}`}>{alert.session}</a>
                    </td>
                    <td>{alert.evidence.accounts.length === 0 ? "nobody" : alert.evidence.accounts.join(", ")}</td>
                    <td className="num">{alert.evidence.impact === null ? "–" : formats.percent(alert.evidence.impact.ppm)}</td>
                    <td>
                      <State alert={alert} />
                    </td>
                    <td>
                      <button type="button" className="button button-small" onClick={() => setDeciding(alert)}>
                        Decide
                      </button>
                    </td>
                  </>
                }
                details={() => <Evidence alert={alert} />}
              />
            ))}
          </tbody>
        </table>
      </TableFrame>
      {deciding !== null && <DecisionDialog alert={deciding} token={token} close={() => setDeciding(null)} />}
    </>
  );
}

const said = (name: string): string => name.replaceAll("_", " ");

/** A figure of the evidence by the unit that its name ends with. */
const figure = (name: string, value: number): string =>
  name.endsWith("_ppm") ? formats.percent(value) : name.endsWith("_wh") ? formats.energy(value) : formats.integer(value);

function Found({ alert }: { alert: Alert }) {
  return (
    <>
      {said(alert.detector)} <Badge tone={alert.severity === "alert" ? "bad" : "neutral"}>{alert.severity}</Badge>
    </>
  );
}

function State({ alert }: { alert: Alert }) {
  const last = alert.decisions.at(-1);
  if (last === undefined) return <Badge tone="warn">open</Badge>;
  return <Badge tone={last.outcome === "confirmed" ? "bad" : "good"}>{last.outcome}</Badge>;
}

function Evidence({ alert }: { alert: Alert }) {
  const { figures, impact, intervals, suspects } = alert.evidence;
  return (
    <div className="stack">
      <p>
        Intervals {intervals.join(", ")} of the day; found <Moment iso={alert.made} offset={0} parts="full" /> (UTC); evidence{" "}
        <Hash value={alert.hash} label="Hash of the evidence" />.
      </p>
      <dl className="facts">
        {Object.entries(figures).map(([name, value]) => (
          <div key={name}>
            <dt>{said(name.replace(/_(ppm|wh)$/, ""))}</dt>
            <dd>{figure(name, value)}</dd>
          </div>
        ))}
      </dl>
      {impact !== null && (
        <p>
          Prices as cleared: {impact.prices.map(price).join(", ")} EUR/kWh. Otherwise: {impact.prices_without.map(price).join(", ")}.
          Buyers paid {formats.money(Math.abs(impact.money))} {impact.money < 0 ? "less" : "more"}.
        </p>
      )}
      {suspects.length > 0 && (
        <p>
          While the session is under review, the guardian can exclude{" "}
          {suspects.map((order) => `the ${order.side} of account ${order.account}`).join(", ")}:{" "}
          <code>wattproof surveillance exclude {alert.id}</code>
        </p>
      )}
      {alert.decisions.map((decision, i) => (
        <Note key={i} tone={decision.outcome === "confirmed" ? "bad" : "good"}>
          {decision.outcome}: {decision.reason} <Hash value={decision.transaction} label="Transaction" />
        </Note>
      ))}
    </div>
  );
}

const price = (value: number | null): string => (value === null ? "no trade" : formats.priceNumber(value));

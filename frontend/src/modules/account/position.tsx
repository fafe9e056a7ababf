/** The connected account's own part in a session: what it promised, delivered, earned. */
import { formats } from "../../lib/format";
import { useDeliveries, useStatements } from "../../lib/queries";
import type { Account, SessionDetail } from "../../lib/resources";
import { sum } from "../../lib/units";
import { Empty } from "../ui/feedback";
import { Section } from "../ui/parts";
import { OwnForecastView, useOwnForecast } from "../ticket/own-forecast";

export function Position({ session, account }: { session: SessionDetail; account: Account }) {
  const delivery = useDeliveries(session.id, session.state).data?.items.find((row) => row.account === account.index);
  const statements = useStatements(session.id, session.state).data?.items.filter((row) => row.account === account.index) ?? [];
  const forecast = useOwnForecast(account, session.id);
  const net = sum(statements.map((row) => row.net));
  return (
    <Section title="Your part">
      <div className="stack">
        {delivery === undefined && statements.length === 0 ? (
          <Empty>
            {session.state === "Closed"
              ? "The session is being cleared."
              : session.state === "UnderReview"
                ? "The clearing is under review."
                : `${account.label ?? `Account ${account.index}`} has no fill in this session.`}
          </Empty>
        ) : (
          <dl className="facts facts-two">
            {delivery !== undefined && (
              <>
                <div>
                  <dt>Promised</dt>
                  <dd>{formats.energy(sum(delivery.promised))}</dd>
                </div>
                <div>
                  <dt>Delivered</dt>
                  <dd>{delivery.delivered === null ? "–" : formats.energy(sum(delivery.delivered))}</dd>
                </div>
              </>
            )}
            {statements.length > 0 && (
              <>
                <div>
                  <dt>Penalty</dt>
                  <dd>{formats.amount(sum(statements.map((row) => row.penalty)))}</dd>
                </div>
                <div>
                  <dt>Net</dt>
                  <dd title={formats.exactMoney(net)}>{formats.signedAmount(net)}</dd>
                </div>
              </>
            )}
          </dl>
        )}
        {(forecast.at === "shown" || forecast.at === "locked") && <OwnForecastView session={session} state={forecast} />}
      </div>
    </Section>
  );
}

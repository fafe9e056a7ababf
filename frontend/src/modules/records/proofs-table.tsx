/**
 * Promised against delivered for every seller, and the proof behind it. Readings stay private: only the deviation is
 * public.
 */
import { formats } from "../../lib/format";
import { useDeliveries } from "../../lib/queries";
import { accountName, type Delivery, type SessionDetail } from "../../lib/resources";
import { sum } from "../../lib/units";
import { useMember } from "../account/member";
import { Empty, Loaded, Note } from "../ui/feedback";
import { Badge, Hash, Interval, Section, TableFrame } from "../ui/parts";
import { ExpandableRow } from "./expandable";
import { PairBars } from "./pair-bars";

const COLUMNS = 9;

function ProofMark({ state }: { state: Delivery["state"] }) {
  switch (state) {
    case "verified":
      return (
        <Badge tone="good">
          <span aria-hidden="true">✓ </span>Verified
        </Badge>
      );
    case "proving":
      return <Badge tone="active">Proving</Badge>;
    case "failed":
      return <Badge tone="bad">Failed</Badge>;
    case "waiting":
      return <Badge>Waiting</Badge>;
  }
}

export function ProofsTable({ session }: { session: SessionDetail }) {
  const deliveries = useDeliveries(session.id, session.state);
  return (
    <Section
      title="Deliveries and proofs"
      lead="A zero-knowledge proof shows the contract how far each delivery was from its promise, from readings that the meter signed and nobody sees."
      aside={
        <ul className="legend" aria-label="Legend">
          <li className="legend-promised">Promised</li>
          <li className="legend-delivered">Delivered</li>
          <li className="legend-short">Short of promise</li>
        </ul>
      }
    >
      <div data-testid="proofs-table">
        <Loaded query={deliveries} label="deliveries">
          {({ items }) =>
            items.length === 0 ? (
              <Empty>No promises yet: they come from the clearing.</Empty>
            ) : (
              <Rows session={session} items={items} />
            )
          }
        </Loaded>
      </div>
    </Section>
  );
}

function Rows({ session, items }: { session: SessionDetail; items: readonly Delivery[] }) {
  const { account } = useMember();
  return (
    <TableFrame label="Promised and delivered energy with proofs">
      <table>
        <caption className="visually-hidden">Promised and delivered energy with proofs</caption>
        <thead>
          <tr>
            <th scope="col">Account</th>
            <th scope="col">Over the intervals</th>
            <th scope="col" className="num">
              Promised, kWh
            </th>
            <th scope="col" className="num">
              Delivered, kWh
            </th>
            <th scope="col" className="num">
              Deviation, kWh
            </th>
            <th scope="col">Proof</th>
            <th scope="col" className="num">
              Gas, its share
            </th>
            <th scope="col" className="num">
              Made in
            </th>
            <th scope="col">Transaction</th>
          </tr>
        </thead>
        <tbody>
          {items.map((row) => {
            const mine = account !== null && row.account === account.index;
            const top = Math.max(...row.promised, ...(row.delivered ?? []).map((d) => d ?? 0));
            const deviation = row.deviations === null ? null : sum(row.deviations);
            return (
              <ExpandableRow
                key={row.account}
                className={mine ? "mine" : ""}
                columns={COLUMNS}
                label={`Intervals of ${accountName(row)}`}
                head={
                  <>
                    {accountName(row)}
                    {mine && <span className="tag">you</span>}
                  </>
                }
                cells={
                  <>
                    <td>
                      <PairBars promised={row.promised} delivered={row.delivered} top={top} />
                    </td>
                    <td className="num">{formats.kwh(sum(row.promised))}</td>
                    <td className="num">
                      {row.delivered === null ? <span className="muted">–</span> : formats.kwh(sum(row.delivered))}
                    </td>
                    <td className={`num ${deviation !== null && deviation < 0 ? "short" : ""}`}>
                      {deviation === null ? <span className="muted">–</span> : formats.signedKwh(deviation)}
                    </td>
                    <td>
                      <ProofMark state={row.state} />
                    </td>
                    <td className="num">
                      {row.verify_gas === null ? <span className="muted">–</span> : formats.integer(row.verify_gas)}
                    </td>
                    <td className="num">
                      {row.prove_ms === null ? <span className="muted">–</span> : formats.duration(row.prove_ms)}
                      <Shared row={row} items={items} />
                    </td>
                    <td>
                      <Hash value={row.tx} label="Transaction" />
                    </td>
                  </>
                }
                details={() => (
                  <>
                    {row.error !== null && <Note tone="bad">No proof yet: {row.error}</Note>}
                    <DeliveryDetails session={session} row={row} />
                  </>
                )}
              />
            );
          })}
        </tbody>
      </table>
    </TableFrame>
  );
}

/** Accounts share proofs, so that the time beside each of them is that of the whole proof. */
function Shared({ row, items }: { row: Delivery; items: readonly Delivery[] }) {
  const homes = items.filter((other) => row.batch !== null && other.batch === row.batch).length;
  return homes > 1 ? <small className="muted"> for {homes} accounts</small> : null;
}

const cell = (value: number | null | undefined, write: (wh: number) => string) =>
  value === null || value === undefined ? <span className="muted">–</span> : write(value);

function DeliveryDetails({ session, row }: { session: SessionDetail; row: Delivery }) {
  return (
    <table className="inner">
      <thead>
        <tr>
          <th scope="col">Interval</th>
          <th scope="col" className="num">
            Promised, kWh
          </th>
          <th scope="col" className="num">
            Delivered, kWh
          </th>
          <th scope="col" className="num">
            Deviation, kWh
          </th>
        </tr>
      </thead>
      <tbody>
        {session.intervals.map((t, j) => (
          <tr key={t}>
            <th scope="row">
              <Interval zone={session.zone} day={session.day} t={t} />
            </th>
            <td className="num">{cell(row.promised[j], formats.kwh)}</td>
            <td className="num">{cell(row.delivered?.[j], formats.kwh)}</td>
            <td className={`num ${(row.deviations?.[j] ?? 0) < 0 ? "short" : ""}`}>
              {cell(row.deviations?.[j], formats.signedKwh)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

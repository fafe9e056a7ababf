/** Proposals for a block session, the best one last; nothing in sessions whose result follows from the log. */
import { formats } from "../../lib/format";
import type { Proposal, SessionDetail } from "../../lib/resources";
import { PPM } from "../../lib/units";
import { Empty } from "../ui/feedback";
import { Badge, Hash, Section, TableFrame } from "../ui/parts";

export function ProposalsTable({ session }: { session: SessionDetail }) {
  if (session.mode !== "block") return null;
  return (
    <Section
      title="Proposals"
      lead="Anyone may propose a better result until the challenge ends. The contract checks every one exactly; that none is better is what the challenge is for."
    >
      {session.proposals.length === 0 ? (
        <Empty>Nothing is proposed before the gate closes.</Empty>
      ) : (
        <TableFrame label="Proposals for the session" testId="proposals-table">
          <table>
            <caption className="visually-hidden">Proposals for the session</caption>
            <thead>
              <tr>
                <th scope="col">Finder</th>
                <th scope="col" className="num">
                  Welfare
                </th>
                <th scope="col" className="num">
                  Volume, kWh
                </th>
                <th scope="col" className="num">
                  May be missing
                </th>
                <th scope="col">Standing</th>
                <th scope="col">Transaction</th>
              </tr>
            </thead>
            <tbody>
              {session.proposals.map((row) => (
                <tr key={row.tx}>
                  <th scope="row">Account {row.account}</th>
                  <td className="num" title={formats.exactMoney(row.welfare)}>
                    {formats.amount(row.welfare)}
                  </td>
                  <td className="num">{formats.kwh(row.volume_wh)}</td>
                  <td className="num">{row.gap === null ? "–" : formats.percent(Math.ceil(row.gap * PPM))}</td>
                  <td>
                    <Standing row={row} />
                  </td>
                  <td>
                    <Hash value={row.tx} label="Transaction" />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableFrame>
      )}
    </Section>
  );
}

function Standing({ row }: { row: Proposal }) {
  return (
    <>
      {row.accepted ? <Badge tone="good">Accepted</Badge> : row.best ? <Badge tone="active">Best so far</Badge> : <Badge>Outbid</Badge>}
      {!row.inside_band && (
        <>
          {" "}
          <Badge tone="warn">Outside the band</Badge>
        </>
      )}
    </>
  );
}

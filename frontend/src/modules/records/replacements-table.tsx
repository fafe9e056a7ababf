/** Members whose records show that they fail, and reserves that took over from them; nothing where there are none. */
import { formats } from "../../lib/format";
import { useReplacements } from "../../lib/queries";
import { accountName, type Replacements, type SessionDetail } from "../../lib/resources";
import { Badge, Interval, Section, TableFrame } from "../ui/parts";

export function ReplacementsTable({ session }: { session: SessionDetail }) {
  const { data } = useReplacements(session.id, session.state);
  if (data === undefined || data.items.length + data.failing.length === 0) return null;
  return (
    <Section
      title="Replacements"
      lead="A reserve takes over intervals of a member that fails, the cheapest first. The member pays what the reserve costs beyond its own price."
    >
      {data.failing.length > 0 && (
        <p>
          {data.failing.map((member) => (
            <Failing key={member.account} session={session} member={member} />
          ))}
        </p>
      )}
      {data.items.length > 0 && <Rows session={session} items={data.items} />}
    </Section>
  );
}

function Failing({ session, member }: { session: SessionDetail; member: Replacements["failing"][number] }) {
  return (
    <>
      <Badge tone="warn">{accountName(member)} fails</Badge> in <Intervals session={session} at={member.intervals} />
      {member.needed === null ? "; it can be replaced with its consent only. " : ". "}
    </>
  );
}

function Intervals({ session, at }: { session: SessionDetail; at: readonly number[] }) {
  return at.map((t, i) => (
    <span key={t}>
      {i > 0 && ", "}
      <Interval zone={session.zone} day={session.day} t={t} />
    </span>
  ));
}

function Rows({ session, items }: { session: SessionDetail; items: Replacements["items"] }) {
  return (
    <TableFrame label="Replacements of the session" testId="replacements-table">
      <table>
        <caption className="visually-hidden">Replacements of the session</caption>
        <thead>
          <tr>
            <th scope="col">Member</th>
            <th scope="col">Reserve</th>
            <th scope="col">Intervals</th>
            <th scope="col" className="num">
              Cost to the member
            </th>
            <th scope="col">Why</th>
          </tr>
        </thead>
        <tbody>
          {items.map((row, i) => (
            <tr key={i}>
              <th scope="row">{accountName(row)}</th>
              <td>{accountName({ account: row.reserve, label: row.reserve_label })}</td>
              <td>
                <Intervals session={session} at={row.intervals} />
              </td>
              <td className="num" title={formats.exactMoney(row.extra)}>
                {formats.amount(row.extra)}
              </td>
              <td>{row.consented ? "agreed" : "proven failures"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

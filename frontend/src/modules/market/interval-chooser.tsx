/** Chooses one interval of a session: a row of radio buttons that scrolls sideways when the session is long. */
import { useId } from "react";
import { startLabel, type Zone } from "../../lib/time";

interface Props {
  zone: Zone;
  intervals: readonly number[];
  chosen: number;
  choose: (t: number) => void;
}

export function IntervalChooser({ zone, intervals, chosen, choose }: Props) {
  const name = useId();
  return (
    <fieldset className="chooser">
      <legend className="visually-hidden">Interval shown</legend>
      {intervals.map((t) => (
        <label key={t} className="chooser-item">
          <input type="radio" name={name} checked={t === chosen} onChange={() => choose(t)} />
          <span>{startLabel(zone, t)}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** A table row with a button that opens a second row of details under it. */
import { type ReactNode, useId, useState } from "react";

export function ExpandableRow({
  head,
  cells,
  columns,
  details,
  label,
  className,
}: {
  /** Content of the row's first cell, beside the button. */
  head: ReactNode;
  /** The remaining cells. */
  cells: ReactNode;
  columns: number;
  details: () => ReactNode;
  /** What the button opens, for screen readers. */
  label: string;
  className?: string;
}) {
  const [open, setOpen] = useState(false);
  const id = useId();
  return (
    <>
      <tr className={className}>
        <th scope="row">
          <span className="row-head">
            <button
              type="button"
              className="twist"
              aria-expanded={open}
              aria-controls={id}
              aria-label={label}
              onClick={() => setOpen(!open)}
            >
              <span aria-hidden="true">›</span>
            </button>
            <span>{head}</span>
          </span>
        </th>
        {cells}
      </tr>
      <tr id={id} className="details-row" hidden={!open}>
        <td colSpan={columns}>{open && details()}</td>
      </tr>
    </>
  );
}

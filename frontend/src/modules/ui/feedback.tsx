/** Loading, empty, error and note: the four things a section shows when it has no data to show. */
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { ApiError } from "../../lib/api";

export function Loading({ label, lines = 3 }: { label: string; lines?: number }) {
  return (
    <div className="loading" role="status">
      <span className="visually-hidden">Loading {label}</span>
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} className="skeleton" aria-hidden="true" />
      ))}
    </div>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return <p className="empty">{children}</p>;
}

export type Tone = "info" | "good" | "warn" | "bad";

export function Note({ tone = "info", children, live = false }: { tone?: Tone; children: ReactNode; live?: boolean }) {
  return (
    <div className={`note note-${tone}`} {...(live ? { role: tone === "bad" ? "alert" : "status" } : {})}>
      {children}
    </div>
  );
}

/** An error with everything the server said, field by field. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const known = error instanceof ApiError ? error : null;
  return (
    <div className="note note-bad" role="alert">
      <p className="note-title">{known?.title ?? "That did not work"}</p>
      {known?.detail != null && <p>{known.detail}</p>}
      {known === null && <p>{error instanceof Error ? error.message : String(error)}</p>}
      {known !== null && known.errors.length > 0 && (
        <ul className="problem-fields">
          {known.errors.map((item, i) => (
            <li key={i}>
              <code>{item.field}</code>
              {item.expected !== "" && <>: expected {item.expected}</>}
              {item.got !== "" && <>, got {item.got}</>}
            </li>
          ))}
        </ul>
      )}
      {retry !== undefined && (
        <button type="button" className="button button-small" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A query's data once it is there; old data stays visible while a refresh fails. */
export function Loaded<T>({
  query,
  label,
  lines,
  children,
}: {
  query: UseQueryResult<T>;
  label: string;
  lines?: number;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return <>{children(query.data)}</>;
  if (query.isError) return <Problem error={query.error} retry={() => void query.refetch()} />;
  return <Loading label={label} {...(lines === undefined ? {} : { lines })} />;
}

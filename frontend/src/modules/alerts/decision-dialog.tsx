/** The guardian's decision about an alert: outcome and reason, confirmed before it goes onto the chain for ever. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../lib/api";
import type { Alert, AlertOutcome } from "../../lib/resources";
import { Dialog } from "../ui/dialog";
import { Note, Problem } from "../ui/feedback";

const OUTCOMES: readonly { outcome: AlertOutcome; name: string }[] = [
  { outcome: "dismissed", name: "Dismissed: it came to nothing" },
  { outcome: "confirmed", name: "Confirmed: it was found to be so" },
];

export function DecisionDialog({ alert, token, close }: { alert: Alert; token: string; close: () => void }) {
  const client = useQueryClient();
  const [outcome, setOutcome] = useState<AlertOutcome>("dismissed");
  const [reason, setReason] = useState("");
  const decide = useMutation({
    mutationFn: () => api.decideAlert(token, alert.id, outcome, reason.trim()),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ["alerts"] });
      close();
    },
  });
  return (
    <Dialog title={`Alert ${alert.id} of session ${alert.session}`} close={close}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          decide.mutate();
        }}
      >
        <fieldset className="stack">
          <legend className="visually-hidden">Outcome</legend>
          {OUTCOMES.map((item) => (
            <label key={item.outcome}>
              <input
                type="radio"
                name="outcome"
                checked={outcome === item.outcome}
                onChange={() => setOutcome(item.outcome)}
              />{" "}
              {item.name}
            </label>
          ))}
        </fieldset>
        <label className="field">
          <span>Reason</span>
          <input type="text" value={reason} maxLength={500} onChange={(event) => setReason(event.target.value)} data-testid="decision-reason" />
        </label>
        <Note tone="warn">
          Outcome and reason are written on the chain, where everybody can read them for ever. A later decision stands beside
          this one and takes nothing back. It moves no money and changes no session. Only the guardian's token can do this.
        </Note>
        {decide.isError && <Problem error={decide.error} />}
        <button type="submit" className="button button-primary" disabled={reason.trim() === "" || decide.isPending}>
          {decide.isPending ? "Recording…" : `Record "${outcome}" on the chain`}
        </button>
      </form>
    </Dialog>
  );
}

/**
 * The way of one order from review to confirmation. Words and message are made here from what was typed, shown, signed
 * by the wallet, and only then sent; a send that got no answer can be repeated with the same signature, because its
 * nonce can be used once only.
 */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useState } from "react";
import { api, type SignedOrder } from "../../lib/api";
import { cancellationOf, cancels, entryWords, lockOf, type ScheduleOrder, type Side, wordHex } from "../../lib/encoding";
import { useSentOrder, useSigner } from "../../lib/queries";
import type { SentOrder, SessionDetail, Status } from "../../lib/resources";
import { type OrderBatch, orderBatchMessage, randomNonce } from "../../lib/typed-data";
import { useMember } from "../account/member";
import { ReviewDialog } from "./review-dialog";

/** Where an order was begun, so that its result is shown there. */
export type Origin = "ticket" | "orders";

export interface Review {
  readonly origin: Origin;
  readonly side: Side;
  readonly cancels: boolean;
  /** Position of the live order that this one replaces or cancels. */
  readonly replaces: number | null;
  readonly lock: bigint;
  readonly intervals: number;
  readonly batch: OrderBatch;
}

export type Phase =
  | { readonly at: "idle" }
  | { readonly at: "review"; readonly review: Review; readonly signing: boolean; readonly error: unknown }
  | { readonly at: "sending"; readonly review: Review }
  | { readonly at: "unsent"; readonly review: Review; readonly signed: SignedOrder; readonly error: unknown }
  | { readonly at: "sent"; readonly review: Review; readonly sent: SentOrder; readonly error: unknown };

interface Signing {
  readonly phase: Phase;
  /** No order can begin: one is under way, or the wallet's counter is not known yet. */
  readonly busy: boolean;
  begin(order: ScheduleOrder, origin: Origin, replaces: number | null): void;
  beginCancellation(order: Pick<ScheduleOrder, "account" | "side" | "agent" | "agentPays">, position: number | null): void;
  resend(): void;
  dismiss(): void;
}

const SigningContext = createContext<Signing | null>(null);

export function useSigning(): Signing {
  const signing = useContext(SigningContext);
  if (signing === null) throw new Error("useSigning needs a SigningProvider above it");
  return signing;
}

export function SigningProvider({
  session,
  status,
  children,
}: {
  session: SessionDetail;
  status: Status;
  children: ReactNode;
}) {
  const { wallet } = useMember();
  const counter = useSigner(wallet?.address ?? null).data?.counter ?? null;
  const [phase, setPhase] = useState<Phase>({ at: "idle" });
  const client = useQueryClient();
  const id = phase.at === "sent" ? phase.sent.id : null;
  const followed = useSentOrder(id);
  const latest = phase.at === "sent" ? (followed.data ?? phase.sent) : null;
  const decided = latest !== null && latest.status !== "pending";

  useEffect(() => {
    if (!decided) return;
    void client.invalidateQueries({ queryKey: ["session", session.id] });
    void client.invalidateQueries({ queryKey: ["accounts"] });
  }, [decided, client, session.id]);

  const begin = useCallback(
    (order: ScheduleOrder, origin: Origin, replaces: number | null) => {
      if (counter === null) return;
      const intervals = session.intervals.length;
      const batch: OrderBatch = {
        chainId: status.chain.chain_id,
        market: status.chain.contracts.FlexMarket,
        session: session.id,
        words: entryWords(order, session),
        nonce: randomNonce(),
        counter: BigInt(counter),
        deadline: Math.floor(Date.parse(session.gate_close) / 1000),
      };
      const lock = lockOf(order, session.price_cap, session.collateral_ppm);
      const review: Review = { origin, side: order.side, cancels: cancels(order), replaces, lock, intervals, batch };
      setPhase({ at: "review", review, signing: false, error: null });
    },
    [session, status, counter],
  );

  const send = async (review: Review, signed: SignedOrder): Promise<void> => {
    setPhase({ at: "sending", review });
    try {
      const sent = await api.sendOrder(review.batch.session, signed);
      setPhase({ at: "sent", review, sent, error: null });
    } catch (error) {
      setPhase({ at: "unsent", review, signed, error });
    }
  };

  const sign = async (review: Review): Promise<void> => {
    if (wallet === null) return;
    setPhase({ at: "review", review, signing: true, error: null });
    try {
      const signature = await wallet.sign(orderBatchMessage(review.batch));
      const { words, nonce, counter, deadline } = review.batch;
      await send(review, {
        signer: wallet.address,
        words: words.map(wordHex),
        nonce: nonce.toString(),
        counter: counter.toString(),
        deadline,
        signature,
      });
    } catch (error) {
      setPhase({ at: "review", review, signing: false, error });
    }
  };

  const value: Signing = {
    phase: phase.at === "sent" ? { ...phase, sent: latest ?? phase.sent, error: followed.error } : phase,
    busy: counter === null || phase.at === "sending" || (phase.at === "sent" && !decided),
    begin,
    beginCancellation: (order, position) => begin(cancellationOf(order, session.intervals.length), "orders", position),
    resend: () => {
      if (phase.at === "unsent") void send(phase.review, phase.signed);
    },
    dismiss: () => setPhase({ at: "idle" }),
  };
  return (
    <SigningContext value={value}>
      {children}
      {phase.at === "review" && wallet !== null && (
        <ReviewDialog
          session={session}
          review={phase.review}
          wallet={wallet}
          signing={phase.signing}
          error={phase.error}
          close={() => setPhase({ at: "idle" })}
          sign={() => void sign(phase.review)}
        />
      )}
    </SigningContext>
  );
}

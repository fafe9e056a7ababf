/** The signed message: its digest against eth_account's, and a signature that recovers to its signer. */
import { readFileSync } from "node:fs";
import { recoverTypedDataAddress } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { expect, test } from "vitest";
import { digestOf, jsonOf, orderBatchMessage, randomNonce } from "./typed-data";

interface Case {
  chain_id: number;
  market: `0x${string}`;
  session: number;
  words: string[];
  nonce: string;
  deadline: number;
  digest: string;
}

const { cases } = JSON.parse(
  readFileSync(new URL("../../../tests/cases/encoding/typed_data.json", import.meta.url), "utf8"),
) as {
  cases: Case[];
};

const messageOf = (c: Case) =>
  orderBatchMessage({
    chainId: c.chain_id,
    market: c.market,
    session: c.session,
    words: c.words.map(BigInt),
    nonce: BigInt(c.nonce),
    deadline: c.deadline,
  });

test.each(cases)("digest of session $session on chain $chain_id", (c) => {
  expect(digestOf(messageOf(c))).toBe(c.digest);
});

test("a signature recovers to its signer and to nobody else's message", async () => {
  const [first, second] = cases.map(messageOf);
  if (first === undefined || second === undefined) throw new Error("two golden cases expected");
  const signer = privateKeyToAccount(generatePrivateKey());
  const signature = await signer.signTypedData(first);
  expect(await recoverTypedDataAddress({ ...first, signature })).toBe(signer.address);
  expect(await recoverTypedDataAddress({ ...second, signature })).not.toBe(signer.address);
});

test("wallets get whole numbers as text, with the domain's type", () => {
  const [first] = cases.map(messageOf);
  if (first === undefined) throw new Error("a golden case expected");
  const sent = JSON.parse(jsonOf(first)) as {
    message: { nonce: unknown; words: unknown[] };
    types: Record<string, { name: string }[]>;
    primaryType: string;
  };
  expect(sent.types.EIP712Domain?.map((field) => field.name)).toEqual(["name", "version", "chainId", "verifyingContract"]);
  expect(sent.primaryType).toBe("OrderBatch");
  expect(sent.message.nonce).toBe(cases[0]?.nonce);
  expect(sent.message.words.every((word) => typeof word === "string")).toBe(true);
});

test("nonces fit 256 bits and differ", () => {
  const nonces = Array.from({ length: 50 }, randomNonce);
  expect(new Set(nonces).size).toBe(50);
  expect(nonces.every((n) => n >= 0n && n < 1n << 256n)).toBe(true);
  expect(nonces.some((n) => n > 1n << 240n)).toBe(true);
});

/** The signed messages: their digests against eth_account's, and signatures that recover to their signer. */
import { readFileSync } from "node:fs";
import { hashTypedData, recoverTypedDataAddress } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { describe, expect, test } from "vitest";
import { digestOf, jsonOf, orderBatchMessage, randomNonce, readAccessMessage } from "./typed-data";

interface Case {
  chain_id: number;
  market: `0x${string}`;
  session: number;
  words: string[];
  nonce: string;
  counter: string;
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
    counter: BigInt(c.counter),
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

describe("a statement that lets the page read", () => {
  interface ReadCase {
    chain_id: number;
    market: `0x${string}`;
    account: number;
    until: number;
    digest: string;
  }
  const golden = JSON.parse(
    readFileSync(new URL("../../../tests/cases/encoding/read_access.json", import.meta.url), "utf8"),
  ) as { cases: ReadCase[] };
  const statement = (c: ReadCase) =>
    readAccessMessage({ chainId: c.chain_id, market: c.market, account: c.account, until: c.until });

  test("has golden cases", () => expect(golden.cases.length).toBeGreaterThan(1));

  test.each(golden.cases)("digest for account $account on chain $chain_id", (c) => {
    expect(digestOf(statement(c))).toBe(c.digest);
    expect(digestOf(statement({ ...c, account: c.account - 1 }))).not.toBe(c.digest);
    expect(digestOf(statement({ ...c, until: c.until + 1 }))).not.toBe(c.digest);
  });

  test.each(golden.cases)("wallets get it with the domain's type, for account $account", (c) => {
    const sent = JSON.parse(jsonOf(statement(c))) as Parameters<typeof hashTypedData>[0];
    expect(sent).toEqual({
      types: {
        EIP712Domain: [
          { name: "name", type: "string" },
          { name: "version", type: "string" },
          { name: "chainId", type: "uint256" },
          { name: "verifyingContract", type: "address" },
        ],
        ReadAccess: [
          { name: "account", type: "uint256" },
          { name: "until", type: "uint256" },
        ],
      },
      primaryType: "ReadAccess",
      domain: { name: "Wattproof", version: "1", chainId: c.chain_id, verifyingContract: c.market },
      message: { account: String(c.account), until: String(c.until) },
    });
    expect(hashTypedData(sent)).toBe(c.digest);
  });
});

test("nonces fit 256 bits and differ", () => {
  const nonces = Array.from({ length: 50 }, randomNonce);
  expect(new Set(nonces).size).toBe(50);
  expect(nonces.every((n) => n >= 0n && n < 1n << 256n)).toBe(true);
  expect(nonces.some((n) => n > 1n << 240n)).toBe(true);
});

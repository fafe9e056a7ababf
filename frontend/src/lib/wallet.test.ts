/** Wallets: refusals in words, signatures in the form contracts ask for, the development wallet's own check. */
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { recoverTypedDataAddress } from "viem";
import { describe, expect, test } from "vitest";
import { orderBatchMessage } from "./typed-data";
import { canonicalSignature, connectWallet, developmentWallet, type Provider, walletError } from "./wallet";

const message = orderBatchMessage({
  chainId: 31337,
  market: `0x${"5f".repeat(20)}`,
  session: 1,
  words: [7n],
  nonce: 9n,
  counter: 0n,
  deadline: 100,
});

test("refusals in words", () => {
  expect(walletError({ code: 4001, message: "User rejected" }).message).toContain("You rejected");
  expect(walletError({ code: -32603, message: "boom" }).message).toBe("The wallet answered: boom");
  expect(walletError(undefined).message).toBe("The wallet answered: unknown error");
});

test("recovery bytes 0 and 1 become 27 and 28", () => {
  const body = "ab".repeat(64);
  expect(canonicalSignature(`0x${body}00`)).toBe(`0x${body}1b`);
  expect(canonicalSignature(`0x${body}01`)).toBe(`0x${body}1c`);
  expect(canonicalSignature(`0x${body}1c`)).toBe(`0x${body}1c`);
  expect(canonicalSignature("0x1234")).toBe("0x1234");
});

describe("the development wallet", () => {
  const key = generatePrivateKey();
  const { address } = privateKeyToAccount(key);

  test("signs what recovers to its address", async () => {
    const wallet = await developmentWallet(key, address, 5);
    expect(wallet.preferredAccount).toBe(5);
    expect(await recoverTypedDataAddress({ ...message, signature: await wallet.sign(message) })).toBe(address);
  });

  test("refuses a key that is not the named address's", async () => {
    await expect(developmentWallet(key, privateKeyToAccount(generatePrivateKey()).address, 5)).rejects.toThrow(
      "development key belongs to",
    );
  });
});

describe("an injected wallet", () => {
  const { address } = privateKeyToAccount(generatePrivateKey());
  const provider = (answers: Record<string, unknown>): Provider => ({
    request: ({ method }) =>
      method in answers
        ? Promise.resolve(answers[method])
        : Promise.reject(Object.assign(new Error("User rejected the request."), { code: 4001 })),
  });
  const found = (answers: Record<string, unknown>) => ({ id: "1", name: "Test", icon: null, provider: provider(answers) });

  test("gives its address with checksum and its chain", async () => {
    const wallet = await connectWallet(found({ eth_requestAccounts: [address.toLowerCase()], eth_chainId: "0x7a69" }));
    expect(wallet).toMatchObject({ kind: "injected", address, chainId: 31337 });
  });

  test("may keep its chain to itself", async () => {
    expect((await connectWallet(found({ eth_requestAccounts: [address] }))).chainId).toBeNull();
  });

  test("sends the call that takes back what was signed, and nothing else", async () => {
    const asked: unknown[] = [];
    const asks: Provider = {
      request: (call) => {
        asked.push(call);
        return Promise.resolve(call.method === "eth_requestAccounts" ? [address] : "0x1");
      },
    };
    const wallet = await connectWallet({ id: "1", name: "Test", icon: null, provider: asks });
    const market = `0x${"5f".repeat(20)}` as const;
    await wallet.incrementCounter(market);
    expect(asked.at(-1)).toEqual({
      method: "eth_sendTransaction",
      params: [{ from: address, to: market, data: "0x5b34b966" }],
    });
    const refusing = await connectWallet(found({ eth_requestAccounts: [address] }));
    await expect(refusing.incrementCounter(market)).rejects.toThrow("You rejected");
  });

  test("passes the person's refusal on", async () => {
    await expect(connectWallet(found({}))).rejects.toThrow("You rejected");
    const wallet = await connectWallet(found({ eth_requestAccounts: [address] }));
    await expect(wallet.sign(message)).rejects.toThrow("Nothing was signed or sent");
  });

  test("without an account or with a strange answer is refused", async () => {
    await expect(connectWallet(found({ eth_requestAccounts: [] }))).rejects.toThrow("no account");
    const wallet = await connectWallet(found({ eth_requestAccounts: [address], eth_signTypedData_v4: { r: 1 } }));
    await expect(wallet.sign(message)).rejects.toThrow("signature: expected 0x");
  });
});

/** Access to private data: the header's form, how long it is held and for whom, and when a new one is signed. */
import { describe, expect, test, vi } from "vitest";
import { type Access, accessOf, AccessStore, LONGEST, type Reader, readPrivate, secondsOf } from "./access";
import { ApiError } from "./api";

const reader: Reader = { chainId: 31337, market: `0x${"5f".repeat(20)}`, account: 7, signer: `0x${"ab".repeat(20)}` };
const NOW = 1_500_390_000;
const access = (until: number, tag = "ab"): Access => accessOf(7, until, `0x${tag.repeat(65)}`);
const refusal = new ApiError(401, "These are a member's private data.", null);

test("the header is what the server reads", () => {
  const { header, until } = access(NOW + LONGEST);
  expect(header).toMatch(/^ReadAccess \d{1,10}\.\d{1,12}\.0x[0-9a-fA-F]{130}$/);
  expect(header.startsWith(`ReadAccess 7.${NOW + 86_400}.0xabab`)).toBe(true);
  expect(until).toBe(NOW + 86_400);
});

test("instants become whole seconds, never later than they are", () => {
  expect(secondsOf("2017-07-18T15:00:00Z")).toBe(NOW);
  expect(secondsOf("2017-07-18T16:00:00.999+01:00")).toBe(NOW);
});

describe("what is held", () => {
  test("holds until the chain's time has passed it", () => {
    const store = new AccessStore();
    const one = access(NOW + 10);
    store.keep(reader, one);
    expect(store.held(reader, NOW + 10)).toBe(one);
    expect(store.held(reader, NOW + 11)).toBeNull();
  });

  test.each<[string, Partial<Reader>]>([
    ["chain", { chainId: 1 }],
    ["market", { market: `0x${"6f".repeat(20)}` }],
    ["account", { account: 8 }],
    ["signer", { signer: `0x${"ac".repeat(20)}` }],
  ])("is of one %s", (_, other) => {
    const store = new AccessStore();
    store.keep(reader, access(NOW));
    expect(store.held({ ...reader, ...other }, NOW)).toBeNull();
  });

  test("an address is the same in any case of its letters", () => {
    const store = new AccessStore();
    store.keep(reader, access(NOW));
    expect(store.held({ ...reader, signer: `0x${"AB".repeat(20)}` }, NOW)).not.toBeNull();
  });

  test("dropping an old one leaves the new one", () => {
    const store = new AccessStore();
    const [old, renewed] = [access(NOW), access(NOW + 1)];
    store.keep(reader, old);
    store.keep(reader, renewed);
    store.drop(reader, old);
    expect(store.held(reader, NOW)).toBe(renewed);
    store.drop(reader, renewed);
    expect(store.held(reader, NOW)).toBeNull();
  });

  test("tells those who look on of every change, until they leave", () => {
    const store = new AccessStore();
    const changed = vi.fn();
    const leave = store.subscribe(changed);
    store.keep(reader, access(NOW));
    store.clear();
    expect(store.held(reader, NOW)).toBeNull();
    expect(changed).toHaveBeenCalledTimes(2);
    leave();
    store.keep(reader, access(NOW));
    expect(changed).toHaveBeenCalledTimes(2);
  });
});

describe("reading", () => {
  /** A server that takes the headers of `good` only. */
  const server = (...good: Access[]) =>
    vi.fn((header: string) => (good.some((one) => one.header === header) ? Promise.resolve("data") : Promise.reject(refusal)));
  const [first, second] = [access(NOW + 10, "01"), access(NOW + 20, "02")];

  test("signs once and reads with it again", async () => {
    const store = new AccessStore();
    const sign = vi.fn(() => Promise.resolve(first));
    const read = server(first);
    expect(await readPrivate(store, reader, NOW, sign, read)).toBe("data");
    expect(await readPrivate(store, reader, NOW + 10, sign, read)).toBe("data");
    expect(sign).toHaveBeenCalledTimes(1);
  });

  test("renews when the chain's time has passed", async () => {
    const store = new AccessStore();
    store.keep(reader, first);
    const read = server(second);
    expect(await readPrivate(store, reader, NOW + 11, () => Promise.resolve(second), read)).toBe("data");
    expect(read.mock.calls).toEqual([[second.header]]);
    expect(store.held(reader, NOW + 11)).toBe(second);
  });

  test("renews when the server refuses the one held", async () => {
    const store = new AccessStore();
    store.keep(reader, first);
    expect(await readPrivate(store, reader, NOW, () => Promise.resolve(second), server(second))).toBe("data");
    expect(store.held(reader, NOW)).toBe(second);
  });

  test("a new one that is refused is an error, not a loop", async () => {
    const store = new AccessStore();
    const sign = vi.fn(() => Promise.resolve(second));
    store.keep(reader, first);
    await expect(readPrivate(store, reader, NOW, sign, server())).rejects.toBe(refusal);
    expect(sign).toHaveBeenCalledTimes(1);
    expect(store.held(reader, NOW)).toBeNull();
  });

  test("without leave to sign, a refusal stands and the access is gone", async () => {
    const store = new AccessStore();
    store.keep(reader, first);
    await expect(readPrivate(store, reader, NOW, null, server())).rejects.toBe(refusal);
    expect(store.held(reader, NOW)).toBeNull();
    const read = server();
    await expect(readPrivate(store, reader, NOW, null, read)).rejects.toThrow("signature is needed");
    expect(read).not.toHaveBeenCalled();
  });

  test("another failure costs neither the access nor a signature", async () => {
    const store = new AccessStore();
    const sign = vi.fn(() => Promise.resolve(second));
    store.keep(reader, first);
    const missing = new ApiError(404, "No readings", null);
    await expect(readPrivate(store, reader, NOW, sign, () => Promise.reject(missing))).rejects.toBe(missing);
    expect(store.held(reader, NOW)).toBe(first);
    expect(sign).not.toHaveBeenCalled();
  });
});

/** Answers of the API: problems read in full, wrong shapes named by path. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { api, ApiError, problemOf } from "./api";

const answer = (body: unknown, init: ResponseInit = {}): void => {
  vi.stubGlobal(
    "fetch",
    vi.fn(() => Promise.resolve(new Response(typeof body === "string" ? body : JSON.stringify(body), init))),
  );
};

const failure = async (call: Promise<unknown>): Promise<ApiError> => {
  const error = await call.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof ApiError)) throw new Error(`an ApiError was expected, got ${String(error)}`);
  return error;
};

afterEach(() => vi.unstubAllGlobals());

describe("problem details", () => {
  test("title, detail and fields", () => {
    const error = problemOf(422, "Unprocessable Entity", {
      type: "about:blank",
      title: "The order was refused",
      status: 422,
      detail: "The gate of session 3 closed.",
      errors: [{ field: "deadline", expected: "after 1500390000", got: 1500389999 }, "odd"],
    });
    expect(error.status).toBe(422);
    expect(error.title).toBe("The order was refused");
    expect(error.message).toBe("The gate of session 3 closed.");
    expect(error.errors).toEqual([{ field: "deadline", expected: "after 1500390000", got: "1500389999" }]);
  });

  test.each([[undefined], ["<html>"], [null], [{}], [{ errors: 7 }]])("a body such as %j still makes an error", (body) => {
    expect(problemOf(502, "Bad Gateway", body)).toMatchObject({ status: 502, title: "502 Bad Gateway", errors: [] });
  });
});

describe("calls", () => {
  test("a good answer is decoded, fields beyond the known dropped", async () => {
    answer({ id: 7, status: "pending", tx: null, positions: null, message: null, extra: 1 });
    expect(await api.sentOrder("7")).toEqual({ id: "7", status: "pending", tx: null, positions: null, message: null });
    expect(fetch).toHaveBeenCalledWith("/api/v1/orders/7", expect.anything());
  });

  test("an order is posted as JSON", async () => {
    answer({ id: "1", status: "pending", tx: null, positions: null, message: null }, { status: 202 });
    const order = { signer: "0x12", words: ["0x34"], nonce: "5", counter: "0", deadline: 6, signature: "0x78" } as const;
    await api.sendOrder(3, order);
    const [path, init] = vi.mocked(fetch).mock.calls[0] ?? [];
    expect(path).toBe("/api/v1/sessions/3/orders");
    expect(init?.method).toBe("POST");
    expect(JSON.parse(String(init?.body))).toEqual(order);
  });

  test("private data are asked for with the member's access", async () => {
    answer({ title: "These are a member's private data.", errors: [] }, { status: 401 });
    expect((await failure(api.forecast(7, 2, "ReadAccess 7.100.0xab"))).status).toBe(401);
    const [path, init] = vi.mocked(fetch).mock.calls[0] ?? [];
    expect(path).toBe("/api/v1/accounts/7/forecast?session=2");
    expect(init?.headers).toEqual({ Accept: "application/json", Authorization: "ReadAccess 7.100.0xab" });
  });

  test("a refusal carries the server's words", async () => {
    answer({ title: "No such session", detail: "There is no session 99." }, { status: 404, statusText: "Not Found" });
    expect(await failure(api.session(99))).toMatchObject({
      status: 404,
      title: "No such session",
      detail: "There is no session 99.",
    });
  });

  test("a wrong shape names path, expectation and what came", async () => {
    answer({ items: [{ index: 1, owner: "0x00", delegate: null, label: null, meter: "bound", envelope_wh: 0, reputation: 0, available: 1.5, locked: 0 }] });
    const error = await failure(api.accounts("0x00"));
    expect(error.title).toBe("The server's answer has an unexpected form");
    expect(error.errors).toEqual([{ field: "items[0].owner", expected: "0x and 40 hexadecimal digits", got: 'string "0x00"' }]);
  });

  test("money with a fraction is refused", async () => {
    const owner = `0x${"ab".repeat(20)}`;
    answer({ items: [{ index: 1, owner, delegate: null, label: null, meter: "bound", envelope_wh: 0, reputation: 0, available: 1.5, locked: 0 }] });
    expect((await failure(api.accounts(owner))).errors[0]).toEqual({
      field: "items[0].available",
      expected: "a whole number",
      got: "number 1.5",
    });
  });

  test("an answer that is not JSON is an error, not a crash", async () => {
    answer("<html></html>");
    expect((await failure(api.sessions())).errors[0]?.expected).toBe("an object");
  });

  test("no answer is status 0", async () => {
    vi.stubGlobal(
      "fetch",
      vi.fn(() => Promise.reject(new TypeError("Failed to fetch"))),
    );
    expect((await failure(api.status())).status).toBe(0);
  });
});

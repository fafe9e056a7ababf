/** Decimal entry and display of whole units. */
import { describe, expect, test } from "vitest";
import { ceilDiv, decimalText, parseDecimal, sum } from "./units";

describe("decimal text as whole units", () => {
  test.each([
    ["0.25", 3, 250],
    ["0,25", 3, 250],
    [" 1 ", 3, 1000],
    [".5", 3, 500],
    ["5.", 3, 5000],
    ["", 3, 0],
    ["1.2500000", 3, 1250],
    ["0.123456", 6, 123456],
    ["4294.967295", 6, 4294967295],
    ["1.000", 3, 1000],
    ["0,500", 3, 500],
    [",500", 3, 500],
    ["1,5", 3, 1500],
    ["1,0000", 3, 1000],
  ])("%j with %i decimals is %i", (entered, decimals, value) => {
    expect(parseDecimal(entered, decimals, ".")).toEqual({ ok: true, value });
  });

  test.each([
    ["0.0005", 3, "at most 3 decimals"],
    ["1.234,5", 3, "one mark at most, before the decimals, such as 1234.5"],
    ["1,234.5", 3, "one mark at most, before the decimals, such as 1234.5"],
    ["1,000,000", 3, "one mark at most, before the decimals, such as 1234.5"],
    ["1,000", 3, "1000 or 1.000, because “,” here could mean either"],
    ["16777,215", 3, "16777215 or 16777.215, because “,” here could mean either"],
    ["1,125", 6, "1125 or 1.125, because “,” here could mean either"],
    ["-1", 3, "a number such as 1.25"],
    ["1e3", 3, "a number such as 1.25"],
    ["one", 3, "a number such as 1.25"],
    [".", 3, "a number such as 1.25"],
    ["99999999999999999999", 3, "a smaller number"],
  ])("%j is refused", (entered, decimals, expected) => {
    expect(parseDecimal(entered, decimals, ".")).toEqual({ ok: false, expected });
  });

  test("who writes 1.000 for a thousand is asked about the point, not about the comma", () => {
    expect(parseDecimal("1,000", 3, ",")).toEqual({ ok: true, value: 1000 });
    expect(parseDecimal("0.5", 3, ",")).toEqual({ ok: true, value: 500 });
    expect(parseDecimal("1.000", 3, ",")).toEqual({
      ok: false,
      expected: "1000 or 1,000, because “.” here could mean either",
    });
  });

  test("written and read back is the same, for every thousandth of a kWh up to 3 kWh and every mark", () => {
    for (let wh = 0; wh <= 3000; wh++) {
      for (const mark of [".", ","]) expect(parseDecimal(decimalText(wh, 3, mark), 3, mark)).toEqual({ ok: true, value: wh });
    }
  });
});

test("whole units as decimal text", () => {
  expect(decimalText(1, 6)).toBe("0.000001");
  expect(decimalText(-1500, 3)).toBe("-1.5");
  expect(decimalText(0, 3)).toBe("0");
  expect(decimalText(12345678901234567890n, 6, ",")).toBe("12345678901234,56789");
});

test("rounding up", () => {
  expect([0n, 1n, 999n, 1000n, 1001n].map((n) => ceilDiv(n, 1000n))).toEqual([0n, 1n, 1n, 1n, 2n]);
});

test("a sum passes over what is not known", () => {
  expect(sum([1, null, 5])).toBe(6);
});

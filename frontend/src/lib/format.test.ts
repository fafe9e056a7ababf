/** Numbers in the three languages the page writes. */
import { describe, expect, test } from "vitest";
import { makeFormats, pickLocale, shortHex } from "./format";

const plain = (text: string): string => text.replace(/[\u00a0\u202f]/g, " ");

describe("numbers", () => {
  const en = makeFormats("en");
  const it = makeFormats("it-IT");
  const de = makeFormats("de-DE");

  test("dates stay in the language of the text", () => {
    expect([it.dateLocale, de.dateLocale, en.dateLocale, makeFormats("en-US").dateLocale]).toEqual([
      "en-GB",
      "en-GB",
      "en-GB",
      "en-US",
    ]);
  });

  test("energy", () => {
    expect(en.energy(1234567)).toBe("1,234.567 kWh");
    expect(it.energy(500)).toBe("0,500 kWh");
    expect(de.kwh(12345678)).toBe("12.345,678");
    expect(en.signedKwh(-74)).toBe("-0.074");
    expect(en.signedKwh(120)).toBe("+0.120");
    expect(en.signedKwh(0)).toBe("0.000");
  });

  test("prices", () => {
    expect(en.price(112500)).toBe("0.1125 EUR/kWh");
    expect(it.priceNumber(112500)).toBe("0,1125");
    expect(en.priceNumber(1)).toBe("0.000001");
  });

  test("money", () => {
    expect(en.money(20_000_000)).toBe("€20.00");
    expect(en.money(54_300)).toBe("€0.0543");
    expect(plain(de.money(20_000_000))).toBe("20,00 €");
    expect(plain(it.exactMoney(1))).toBe("0,000001 €");
    expect(en.signedAmount(-90_600)).toBe("-€0.0906");
  });

  test("amounts beyond floating point keep their last digit", () => {
    expect(en.exactMoney(9_007_199_254_740_993n)).toBe("€9,007,199,254.740993");
  });

  test("shares and durations", () => {
    expect(en.percent(500_000)).toBe("50%");
    expect(en.percent(766_660)).toBe("76.7%");
    expect(en.duration(211.6)).toBe("212 ms");
    expect(en.duration(1693)).toBe("1.7 s");
  });

  test("axis ticks have the decimals their axis needs", () => {
    expect(en.axisPrice(200_000, 600_000)).toBe("0.20");
    expect(en.axisEnergy(2000, 6000)).toBe("2.0");
    expect(en.axisEnergy(20_000, 60_000)).toBe("20");
  });

  test("text for inputs uses the reader's mark and can be read back", () => {
    expect(it.input(250, 3)).toBe("0,25");
    expect(en.input(1_234_500, 3)).toBe("1234.5");
  });
});

test("the reader's first language that the page can write", () => {
  expect(pickLocale(["fr-FR", "it-CH", "en-US"])).toBe("it-CH");
  expect(pickLocale(["ja-JP"])).toBe("en");
});

test("long hexadecimal values show their ends", () => {
  expect(shortHex("0x5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f")).toBe("0x5f5f…5f5f");
  expect(shortHex("0x12345678")).toBe("0x12345678");
});

/** Intervals in a zone's standard time. */
import { describe, expect, test } from "vitest";
import {
  dateText,
  durationText,
  instantText,
  intervalLabel,
  intervalStart,
  offsetName,
  rangeLabel,
  runs,
  startLabel,
} from "./time";

const hourly = { offset_seconds: 3600, interval_minutes: 60 };
const quarters = { offset_seconds: 19800, interval_minutes: 15 };
const half = { offset_seconds: -12600, interval_minutes: 30 };

describe("where an interval starts", () => {
  test("18 July 2017, hour 17 at UTC+1, is 16:00 UTC also in summer", () => {
    const day = Date.UTC(2017, 6, 18) / 86_400_000;
    expect(new Date(intervalStart(hourly, day, 17)).toISOString()).toBe("2017-07-18T16:00:00.000Z");
  });

  test("east and west of Greenwich the day begins before and after UTC's", () => {
    expect(new Date(intervalStart(quarters, 20000, 0)).toISOString()).toBe("2024-10-03T18:30:00.000Z");
    expect(new Date(intervalStart(half, 20000, 1)).toISOString()).toBe("2024-10-04T04:00:00.000Z");
  });

  test.each([hourly, quarters, half])("the day of every interval's start is the day: %o", (zone) => {
    for (let t = 0; t < 1440 / zone.interval_minutes; t++) {
      const seconds = intervalStart(zone, 19000, t) / 1000;
      expect(Math.floor((seconds + zone.offset_seconds) / 86400)).toBe(19000);
    }
    expect(intervalStart(zone, 19000, 1440 / zone.interval_minutes)).toBe(intervalStart(zone, 19001, 0));
  });
});

test("labels", () => {
  expect(startLabel(quarters, 9)).toBe("02:15");
  expect(intervalLabel(hourly, 17)).toBe("17:00–18:00");
  expect(intervalLabel(quarters, 95)).toBe("23:45–24:00");
  expect(rangeLabel(half, 0, 47)).toBe("00:00–24:00");
});

test("runs of intervals", () => {
  expect(runs([17, 18, 20])).toEqual([
    [17, 18],
    [20, 20],
  ]);
  expect(runs([])).toEqual([]);
});

test("offsets", () => {
  expect([3600, 0, 19800, -12600].map(offsetName)).toEqual(["UTC+1", "UTC", "UTC+5:30", "UTC-3:30"]);
});

test("instants and dates in the reader's language", () => {
  expect(instantText("2017-07-18T23:30:00Z", 3600, "en-GB")).toBe("19 Jul, 00:30");
  expect(instantText("2017-07-18T15:00:00Z", 3600, "it", "time")).toBe("16:00");
  expect(dateText("2017-07-18", "de")).toBe("Di., 18. Juli 2017");
});

test("durations", () => {
  const minute = 60_000;
  expect([0.5, 14, 60, 83, 1440, 1620].map((m) => durationText(m * minute))).toEqual([
    "under a minute",
    "14 min",
    "1 h",
    "1 h 23 min",
    "1 d",
    "1 d 3 h",
  ]);
});

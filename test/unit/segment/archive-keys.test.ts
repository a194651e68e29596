/** Where things lie in the archive: the layout of DESIGN section 6, which readers of years to come rely on. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { DAY_MAX, DAY_MIN, type DayUtc, parseDay } from "../../../src/rows/day.ts";
import {
  journalKey,
  journalNumber,
  manifestKey,
  segmentId,
  segmentKey,
  segmentOfKey,
} from "../../../src/segment/archive-keys.ts";

const random = Uint8Array.of(0, 1, 0x7f, 0x80, 0xfe, 0xff, 0xab, 0xcd);

describe("the key", () => {
  it("of a journal entry has twenty digits, so that a listing is in order", () => {
    expect(journalKey("audit_logs", 42n)).toBe("_firnline/audit_logs/journal/00000000000000000042.json");
    expect(journalKey("p", 9_223_372_036_854_775_807n)).toBe("_firnline/p/journal/09223372036854775807.json");
    const number = fc.bigInt({ min: 0n, max: 9_223_372_036_854_775_807n });
    fc.assert(
      fc.property(number, number, (left, right) => {
        expect(journalKey("p", left) < journalKey("p", right)).toBe(left < right);
      }),
    );
  });

  it("of a manifest names its segment", () => {
    expect(manifestKey("audit_logs", "000000000042-00017f80feffabcd")).toBe(
      "_firnline/audit_logs/manifests/000000000042-00017f80feffabcd.json",
    );
  });

  it("of a segment is partitioned the Hive way, by rule and day", () => {
    expect(segmentKey("audit_logs", "access_denied", parseDay("2026-01-03"), "s")).toBe(
      "audit_logs/daily/rule=access_denied/dt=2026-01-03/s.parquet",
    );
  });

  it("of a segment of several days is partitioned by rule and month", () => {
    const [from, to] = [parseDay("2025-01-02"), parseDay("2025-01-31")];
    const key = segmentKey("audit_logs", "default", from, "000000000042-00017f80feffabcd", to);
    expect(key).toBe("audit_logs/monthly/rule=default/month=2025-01/000000000042-00017f80feffabcd.parquet");
    expect(segmentOfKey(key)).toBe("000000000042-00017f80feffabcd");
    expect(() => segmentKey("p", "r", from, "s", parseDay("2025-02-01"))).toThrow(/several months/);
  });

  it("keeps days in order for the whole calendar", () => {
    const day = fc.integer({ min: DAY_MIN, max: DAY_MAX }).map((value) => value as DayUtc);
    fc.assert(
      fc.property(day, day, (left, right) => {
        expect(segmentKey("p", "r", left, "s") < segmentKey("p", "r", right, "s")).toBe(left < right);
      }),
    );
  });

  it("lies where engines skip it, unless it is a segment", () => {
    expect(journalKey("p", 1n)).toMatch(/^_/);
    expect(manifestKey("p", "s")).toMatch(/^_/);
    expect(segmentKey("p", "r", parseDay("2026-01-03"), "s")).not.toMatch(/(^|\/)[_.]/);
  });
});

describe("a segment's id", () => {
  it("is the catalog's sequence and 64 random bits, leading zeros kept", () => {
    expect(segmentId(42n, random)).toBe("000000000042-00017f80feffabcd");
    expect(segmentId(42n, new Uint8Array(8))).toBe("000000000042-0000000000000000");
  });

  it("differs between two databases that share a sequence, by its random bits (I3)", () => {
    expect(segmentId(42n, random)).not.toBe(segmentId(42n, random.with(7, 0xce)));
  });

  it("takes no more than eight bytes", () => {
    expect(segmentId(1n, new Uint8Array(32).fill(1))).toBe("000000000001-0101010101010101");
  });
});

describe("from a key comes", () => {
  const segment = "000000000042-00017f80feffabcd";

  it("the segment whose object or manifest it is, and none from any other", () => {
    const day = fc.integer({ min: DAY_MIN, max: DAY_MAX }).map((value) => value as DayUtc);
    const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,62}$/);
    fc.assert(
      fc.property(
        name,
        name,
        day,
        fc.bigInt({ min: 1n, max: 10n ** 15n }),
        (pipeline, rule, on, sequence) => {
          const id = segmentId(sequence, random);
          expect(segmentOfKey(segmentKey(pipeline, rule, on, id))).toBe(id);
          expect(segmentOfKey(manifestKey(pipeline, id))).toBe(id);
        },
      ),
    );
    for (const key of [
      journalKey("audit_logs", 1n),
      `audit_logs/daily/rule=default/dt=2026-01-03/mine.parquet`,
      `audit_logs/daily/rule=default/dt=2026-01-03/${segment}.parquet.bak`,
      `audit_logs/daily/rule=default/${segment}.parquet`,
      `audit_logs/${segment}.parquet`,
      `_firnline/audit_logs/manifests/${segment}.parquet`,
      `x/_firnline/audit_logs/manifests/${segment}.json`,
      `audit_logs/daily/rule=default/dt=2026-01-03/${segment.toUpperCase()}.parquet`,
    ]) {
      expect([key, segmentOfKey(key)]).toEqual([key, null]);
    }
  });

  it("the number of the journal's entry, of this pipeline alone", () => {
    expect(journalNumber("audit_logs", journalKey("audit_logs", 42n))).toBe(42n);
    expect(journalNumber("audit_logs", journalKey("other", 42n))).toBeNull();
    expect(journalNumber("audit_logs", "_firnline/audit_logs/journal/42.json")).toBeNull();
    expect(journalNumber("audit_logs", `${journalKey("audit_logs", 42n)}.bak`)).toBeNull();
  });
});

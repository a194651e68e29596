/** What doctor says of clocks, disks and amounts. */
import { describe, expect, it } from "vitest";

import { adviseSpace, ARCHIVING, judgeBloomColumns, judgeClocks, SPOOLING } from "../../src/doctor.ts";
import { durationText, sizeText } from "../../src/plan/advice.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Column } from "../../src/rows/column.ts";
import type { EpochMs } from "../../src/rows/day.ts";

const at = (ms: number): EpochMs => (1_760_000_000_000 + ms) as EpochMs;

describe("clocks", () => {
  const message = (before: number, server: number, after: number): string | undefined =>
    judgeClocks(at(before), at(server), at(after))?.message;

  it("may be a minute apart, and as long as the question took", () => {
    expect(message(0, 0, 0)).toBeUndefined();
    expect(message(0, 60_000, 0)).toBeUndefined();
    expect(message(0, -60_000, 0)).toBeUndefined();
    // A connection that took two minutes: the server may have answered at any moment of them.
    expect(message(0, 175_000, 120_000)).toBeUndefined();
  });

  it("are refused beyond that, in either direction", () => {
    expect(message(0, 60_001, 0)).toBe(
      "E_CLOCK this host and the database: the database's clock is 60 seconds ahead. " +
        "Set the wrong one right, with NTP: it decides how old rows are, and some are deleted by their age.",
    );
    expect(message(0, 180_001, 120_000)).toContain("the database's clock is 60 seconds ahead");
    expect(message(0, -2 * 86_400_000, 0)).toContain("the database's clock is 2 days behind");
  });
});

describe("columns of bloom filters", () => {
  const message = (bloomFilters: string[]): string | undefined => {
    const columns = ["id", "actor_id"].map((name) => ({ name }) as Column);
    const source = { table: { schema: "public", name: "audit", oid: "1" }, columns };
    return judgeBloomColumns(source, { archive: { bloomFilters } as unknown as Policy["archive"] })?.message;
  };

  it("are columns of the table", () => {
    expect(message(["id", "actor_id"])).toBeUndefined();
    expect(message(["id", "tenant_of_it"])).toBe(
      "E_POLICY public.audit.tenant_of_it: archive.bloomFilters names a column that is not there. " +
        "Check its spelling, or take it off the list.",
    );
    expect(message(["actr_id"])).toContain("Did you mean actor_id.");
  });
});

describe("disks", () => {
  const GIB = 1024n ** 3n;
  const told = (...args: Parameters<typeof adviseSpace>): string[] =>
    adviseSpace(...args).map(
      ({ code, subject, problem, hint }) => `${code} ${subject}: ${problem}. ${hint}.`,
    );

  it("are advised on where less is free than will be needed", () => {
    expect(told("/tmp", 5n * GIB, 12n * GIB, SPOOLING)).toEqual([
      "A_CAPACITY /tmp: 5.0 GiB are free, and a retrieval of all hot rows keeps up to 12 GiB there. " +
        "Free space, or name another folder in FIRNLINE_TMPDIR.",
    ]);
    expect(told("file:///archive", GIB / 2n, GIB, ARCHIVING)).toEqual([
      "A_CAPACITY file:///archive: 512 MiB are free, and archiving all rows of the table takes about 1.0 GiB there. " +
        "Add space before a large first run.",
    ]);
  });

  it("are no matter where enough is free, or nobody knows how much", () => {
    expect(told("/tmp", GIB, GIB, SPOOLING)).toEqual([]);
    expect(told("s3://bucket", null, GIB, ARCHIVING)).toEqual([]);
  });
});

describe("amounts", () => {
  it.each([
    [0n, "0 B"],
    [1_023n, "1023 B"],
    [1_024n, "1.0 KiB"],
    [10_240n, "10 KiB"],
    [1_048_000n, "1023 KiB"],
    [1_048_575n, "1.0 MiB"],
    [1_503_238_553n, "1.4 GiB"],
    [2n ** 62n, "4096 PiB"],
  ])("%i bytes read %s", (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });

  it.each([
    [-1, "0 seconds"],
    [1.9, "1 second"],
    [119, "119 seconds"],
    [120, "2 minutes"],
    [7_199, "119 minutes"],
    [7_200, "2 hours"],
    [172_799, "47 hours"],
    [172_800, "2 days"],
  ])("%d seconds read %s", (seconds, text) => {
    expect(durationText(seconds)).toBe(text);
  });
});

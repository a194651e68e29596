/** Settings from the environment: every good value, every bad one, and nothing that is silently ignored. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readConnection, readSettings, type Settings } from "../../src/config.ts";

const DEFAULTS: Settings = {
  limits: {
    chunk: { rowsMax: 5_000, bytesMax: 8 * 1024 * 1024 },
    rowGroupRowsMax: 20_000,
    rowGroupBytesMax: 32 * 1024 * 1024,
    segmentBytesMax: 1024 * 1024 * 1024,
    pruneChunksMax: 16,
    pruneTargetMs: 500,
    deleteRowsMax: 5_000,
    attemptsMax: 4,
    detachWaitMs: 60_000,
    leaseMs: 60_000,
    concurrency: 3,
    paceShare: 0.1,
    paceWrites: 10,
  },
  lockTimeoutMs: 5_000,
  copySilenceMs: 300_000,
  statementMs: 3_600_000,
  connectionsMax: 6,
  nice: 10,
  fileRestoreDelayMs: 0,
  s3: {
    connectMs: 10_000,
    answerMs: 60_000,
    silenceMs: 60_000,
    sockets: 32,
    attemptsMax: 24,
    pauseMsMax: 10_000,
    partBytes: 8 * 1024 * 1024,
    partsAtOnce: 3,
  },
  temporary: null,
  prices: null,
  failpoint: null,
};

/** Name, lowest, highest, default, and what of the settings it sets. */
const NUMBERS: readonly (readonly [
  string,
  number,
  number,
  number,
  (settings: Settings) => number,
  number,
])[] = [
  ["FIRNLINE_CHUNK_ROWS", 1, 100_000, 5_000, ({ limits }) => limits.chunk.rowsMax, 1],
  ["FIRNLINE_CHUNK_MIB", 1, 64, 8, ({ limits }) => limits.chunk.bytesMax, 1024 * 1024],
  ["FIRNLINE_ROW_GROUP_ROWS", 1, 1_000_000, 20_000, ({ limits }) => limits.rowGroupRowsMax, 1],
  ["FIRNLINE_ROW_GROUP_MIB", 1, 512, 32, ({ limits }) => limits.rowGroupBytesMax, 1024 * 1024],
  ["FIRNLINE_SEGMENT_MIB", 0, 40_960, 1_024, ({ limits }) => limits.segmentBytesMax, 1024 * 1024],
  ["FIRNLINE_PRUNE_CHUNKS", 1, 1_000, 16, ({ limits }) => limits.pruneChunksMax, 1],
  ["FIRNLINE_PRUNE_TARGET_MS", 1, 60_000, 500, ({ limits }) => limits.pruneTargetMs, 1],
  ["FIRNLINE_DELETE_ROWS", 1, 100_000, 5_000, ({ limits }) => limits.deleteRowsMax, 1],
  ["FIRNLINE_ATTEMPTS", 1, 20, 4, ({ limits }) => limits.attemptsMax, 1],
  ["FIRNLINE_DETACH_WAIT_MS", 1, 3_600_000, 60_000, ({ limits }) => limits.detachWaitMs, 1],
  ["FIRNLINE_LEASE_SECONDS", 3, 3_600, 60, ({ limits }) => limits.leaseMs, 1_000],
  ["FIRNLINE_LOCK_TIMEOUT_MS", 1, 600_000, 5_000, ({ lockTimeoutMs }) => lockTimeoutMs, 1],
  ["FIRNLINE_COPY_SILENCE_SECONDS", 1, 86_400, 300, ({ copySilenceMs }) => copySilenceMs, 1_000],
  ["FIRNLINE_STATEMENT_SECONDS", 1, 86_400, 3_600, ({ statementMs }) => statementMs, 1_000],
  ["FIRNLINE_CONCURRENCY", 1, 3, 3, ({ limits }) => limits.concurrency, 1],
  ["FIRNLINE_PACE_PERCENT", 1, 100, 10, ({ limits }) => limits.paceShare, 0.01],
  ["FIRNLINE_PACE_WRITES", 0, 1_000_000, 10, ({ limits }) => limits.paceWrites, 1],
  ["FIRNLINE_NICE", 0, 19, 10, ({ nice }) => nice, 1],
  ["FIRNLINE_CONNECTIONS", 2, 50, 6, ({ connectionsMax }) => connectionsMax, 1],
  ["FIRNLINE_FILE_RESTORE_DELAY_MS", 0, 604_800_000, 0, ({ fileRestoreDelayMs }) => fileRestoreDelayMs, 1],
  ["FIRNLINE_S3_CONNECT_MS", 10, 600_000, 10_000, ({ s3 }) => s3.connectMs, 1],
  ["FIRNLINE_S3_ANSWER_MS", 10, 3_600_000, 60_000, ({ s3 }) => s3.answerMs, 1],
  ["FIRNLINE_S3_SILENCE_MS", 10, 3_600_000, 60_000, ({ s3 }) => s3.silenceMs, 1],
  ["FIRNLINE_S3_SOCKETS", 2, 512, 32, ({ s3 }) => s3.sockets, 1],
  ["FIRNLINE_S3_ATTEMPTS", 1, 100, 24, ({ s3 }) => s3.attemptsMax, 1],
  ["FIRNLINE_S3_PAUSE_MS", 1, 600_000, 10_000, ({ s3 }) => s3.pauseMsMax, 1],
  ["FIRNLINE_S3_PART_MIB", 5, 512, 8, ({ s3 }) => s3.partBytes, 1024 * 1024],
  ["FIRNLINE_S3_PARTS", 1, 16, 3, ({ s3 }) => s3.partsAtOnce, 1],
];
const TEXTS = ["FIRNLINE_TMPDIR", "FIRNLINE_PRICES", "FIRNLINE_FAILPOINT"];

describe("settings", () => {
  it("have defaults, also where a variable is empty", () => {
    expect(readSettings({})).toEqual(DEFAULTS);
    const empty = Object.fromEntries([...NUMBERS.map(([name]) => name), ...TEXTS].map((name) => [name, ""]));
    expect(readSettings(empty)).toEqual(DEFAULTS);
  });

  it.each(NUMBERS)("%s is taken from %i to %i", (name, min, max, fallback, read, unit) => {
    for (const value of new Set([min, max, fallback, min + 1])) {
      const settings = readSettings({ [name]: String(value) });
      // A segment of at most no bytes is one of a single row group.
      expect(read(settings)).toBe(value === 0 && name === "FIRNLINE_SEGMENT_MIB" ? 1 : value * unit);
    }
    expect(read(readSettings({}))).toBe(fallback * unit);
  });

  it.each(NUMBERS)("%s changes nothing else", (name, min, _max, _fallback, read) => {
    const changed = readSettings({ [name]: String(min + 1) });
    for (const [other, , , , readOther] of NUMBERS) {
      if (other !== name && name !== "FIRNLINE_CONNECTIONS")
        expect(readOther(changed)).toBe(readOther(DEFAULTS));
    }
    expect(read(changed)).not.toBe(undefined);
  });

  it("with few connections do not let stages wait for each other's", () => {
    const { limits } = readSettings({ FIRNLINE_CONNECTIONS: "3" });
    expect(limits).toEqual({ ...DEFAULTS.limits, concurrency: 1 });
  });

  it.each(NUMBERS)("%s refuses what is outside, and what is no whole number", (name, min, max, fallback) => {
    const bad = [
      String(min - 1),
      String(max + 1),
      "-1",
      "1.5",
      "1e3",
      "0x10",
      "1_000",
      "1,000",
      " 5",
      "5 ",
      "+5",
      "five",
      "NaN",
      "Infinity",
      "٥",
      "9".repeat(16),
      "5\n",
      "30d",
    ];
    for (const value of bad) {
      expect(() => readSettings({ [name]: value })).toThrow(
        `E_INPUT ${name}: "${value}" is not a whole number from ${min} to ${max}. Unset it for the default, ${fallback}.`,
      );
    }
  });

  it("take a folder for temporary files and a failpoint", () => {
    const environ = { FIRNLINE_TMPDIR: "/var/tmp/x", FIRNLINE_FAILPOINT: "seal.read:kill@2" };
    expect(readSettings(environ)).toEqual({
      ...DEFAULTS,
      temporary: "/var/tmp/x",
      failpoint: { name: "seal.read", action: "kill", hit: 2 },
    });
    expect(() => readSettings({ FIRNLINE_FAILPOINT: "seal.reed:kill" })).toThrow(
      /^E_INPUT FIRNLINE_FAILPOINT: /,
    );
  });
});

describe("a FIRNLINE_ variable that is not known", () => {
  it.each(["FIRNLINE_CHUNK_ROW", "FIRNLINE_HOT_KEEP", "FIRNLINE_", "FIRNLINE_chunk_rows", "FIRNLINE_TESTS"])(
    "is refused, like %s: a typing error must not mean a default",
    (name) => {
      expect(() => readSettings({ [name]: "30" })).toThrow(
        new RegExp(
          `^E_INPUT ${name}: this variable is not known\\. ` +
            String.raw`(Did you mean FIRNLINE_CHUNK_ROWS\? Unset what is not meant|Known are FIRNLINE_CHUNK_ROWS, .*FIRNLINE_FAILPOINT)\.$`,
        ),
      );
      expect(() => readSettings({ [name]: "" })).toThrow(/^E_INPUT/);
    },
  );

  it("is none of our business when it belongs to the tests, or to somebody else", () => {
    const environ = {
      FIRNLINE_TEST_POSTGRES_URL: "x",
      FIRNLINE_TEST_INSTALL: "1",
      MY_FIRNLINE_CHUNK_ROWS: "x",
      firnline_chunk_rows: "x",
      FIRNLINEX: "x",
      PATH: "/bin",
    };
    expect(readSettings(environ)).toEqual(DEFAULTS);
  });

  it("cannot be a setting by being the name of something that every object has", () => {
    for (const name of ["constructor", "toString", "__proto__"]) {
      expect(() => readSettings({ [`FIRNLINE_${name}`]: "1" })).toThrow(/^E_INPUT/);
    }
  });

  it("never passes, whatever it is", () => {
    const known = new Set([...NUMBERS.map(([name]) => name), ...TEXTS]);
    const names = fc.stringMatching(/^[A-Z_]{1,20}$/).map((text) => `FIRNLINE_${text}`);
    fc.assert(
      fc.property(
        names.filter((name) => !known.has(name) && !name.startsWith("FIRNLINE_TEST_")),
        (name) => {
          expect(() => readSettings({ [name]: "1" })).toThrow(/^E_INPUT/);
        },
      ),
    );
  });
});

describe("the connection", () => {
  it("is the value of the variable that the policy names", () => {
    for (const url of ["postgres://db", "postgresql://u:p@db:5432/app?sslmode=require"]) {
      expect(readConnection({ DATABASE_URL: url }, "DATABASE_URL")).toBe(url);
    }
  });

  it.each([
    "host=db password=canary",
    "db.example.com:5432",
    "https://u:canary@db",
    " postgres://u:canary@db",
  ])("that is no URL of Postgres is refused without being shown: %s", (value) => {
    expect(() => readConnection({ DATABASE_URL: value }, "DATABASE_URL")).toThrow(
      /^E_INPUT DATABASE_URL: it does not hold a connection URL (?!.*canary)/,
    );
  });

  it("that is not set is named, without showing any value", () => {
    const message =
      "E_INPUT AUDIT_URL: the policy's source.connection names this variable, and it is not set. Export it.";
    expect(() => readConnection({ DATABASE_URL: "postgres://u:canary@db" }, "AUDIT_URL")).toThrow(message);
    expect(() => readConnection({ AUDIT_URL: "" }, "AUDIT_URL")).toThrow(message);
  });
});

/** Journal entries: numbered without gaps and chained by hash (I5), and nothing unknown is ever skipped. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { isFirnlineError } from "../../../src/errors.ts";
import { canonicalBytes, type Json } from "../../../src/segment/canonical-json.ts";
import {
  decodeEntry,
  EMPTY_JOURNAL,
  encodeEntry,
  GENESIS,
  type JournalEntry,
  type JournalEvent,
  type JournalHead,
  nextEntry,
  type UnnumberedEntry,
} from "../../../src/segment/journal.ts";
import { hashOf, replaced, sampleManifest } from "./sample-manifest.ts";

const SUBJECT = "_firnline/audit_logs/journal/00000000000000000042.json";
const { object } = sampleManifest();
const manifest = { key: "k", versionId: null, etag: null, sha256: hashOf("manifest"), bytes: "1" };
const segment = "000000000042-0123456789abcdef";
const uuid = (digit: string): string => `${digit.repeat(8)}-3c0e-4d9a-9f55-0a4f6f0a9b11`;

/** One of each type, so that a new type without a test does not compile. */
const EVENTS: { readonly [Type in JournalEvent["type"]]: Extract<JournalEvent, { type: Type }> } = {
  "run-started": {
    type: "run-started",
    archiveId: uuid("a"),
    source: { systemIdentifier: "7400000000000000001", databaseOid: "5", tableOid: "16385" },
    writer: "firnline 0.1.0",
  },
  policy: { type: "policy", policy: { format: 1, rules: [{ name: "default" }], cold: null } },
  sealed: {
    type: "sealed",
    segment,
    rule: "default",
    dayFrom: "2026-01-03",
    dayTo: "2026-01-03",
    rows: "60",
    object,
    manifest,
    root: hashOf("root"),
    storageClass: "STANDARD",
    supersedes: [{ segment: "old", chunks: [0, 2] }],
  },
  "prune-started": { type: "prune-started", segment },
  pruned: { type: "pruned", segment, chunks: [0, 1, 2], rows: "60" },
  deleted: { type: "deleted", rule: "denied", day: "2026-01-03", rows: "5000", from: "a", to: "b" },
  packed: {
    type: "packed",
    segment,
    rule: "default",
    dayFrom: "2026-01-03",
    dayTo: "2026-01-03",
    rows: "60",
    object,
    manifest,
    root: hashOf("root"),
    storageClass: "STANDARD",
    from: [{ segment: "old", chunks: [1] }],
  },
  superseded: { type: "superseded", segment, chunks: [3], reason: "none of their rows is there" },
  tombstoned: { type: "tombstoned", segment, chunk: 3, rows: "2", keys: [["7"], ["8"]] },
  quarantined: { type: "quarantined", segment, chunks: [0], reason: "column message changed" },
  reconciled: { type: "reconciled", segment, pruned: [0, 2], sealed: [1] },
  adopted: {
    type: "adopted",
    archiveId: uuid("a"),
    source: { systemIdentifier: "7400000000000000002", databaseOid: "5", tableOid: "16385" },
    previous: { systemIdentifier: "7400000000000000001", databaseOid: "5", tableOid: "16385" },
    writer: "firnline 0.1.0",
  },
  collected: { type: "collected", objects: [{ key: "k", versionId: null, bytes: "12" }] },
  tagged: { type: "tagged", segment, storageClass: "DEEP_ARCHIVE" },
  restored: {
    type: "restored",
    requestedBy: "auditor",
    retrieval: uuid("b"),
    tier: "Bulk",
    days: 3,
    segments: [segment],
    bytes: "1024",
  },
  hold: {
    type: "hold",
    hold: uuid("d"),
    dayFrom: "2024-03-01",
    dayTo: "2024-03-31",
    reason: "case 4711",
    placedBy: "counsel",
  },
  released: { type: "released", hold: uuid("d"), reason: "settled", releasedBy: "counsel" },
  "expire-intent": { type: "expire-intent", segment, keepDays: 2555 },
  expired: { type: "expired", segment, rows: "60", objects: [{ key: "k", versionId: "v", bytes: "12" }] },
  transitioned: { type: "transitioned", segment, storageClass: "DEEP_ARCHIVE", object },
  retrieved: {
    type: "retrieved",
    retrieval: uuid("b"),
    requestedBy: "auditor",
    from: "2026-01-01T00:00:00.000000Z",
    to: "2026-02-01T00:00:00.000000Z",
    where: [{ column: "action", value: "login" }],
    rows: "0",
    sha256: hashOf("answer"),
  },
};

const decided = (event: JournalEvent): UnnumberedEntry => ({
  entryId: uuid("c"),
  run: "run-1",
  epoch: "7",
  at: "2026-02-03T02:00:00.000Z",
  event,
});
const entry: JournalEntry = nextEntry(EMPTY_JOURNAL, decided(EVENTS.sealed));
const bytesOf = (value: unknown): Uint8Array => canonicalBytes(value as Json);
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

function refusal(bytes: Uint8Array): string {
  try {
    decodeEntry(bytes, SUBJECT);
    return "";
  } catch (error) {
    if (!isFirnlineError(error, "E_FORMAT")) throw error;
    expect(error.subject).toBe(SUBJECT);
    return error.problem;
  }
}

describe("a journal", () => {
  it("begins with number 1 after 64 zeros", () => {
    expect(entry).toMatchObject({ format: 1, n: "1", prev: "0".repeat(64) });
    expect(GENESIS).toBe("0".repeat(64));
  });

  it("goes on with the number after its head, and with its head's hash (I5)", () => {
    const head: JournalHead = { n: 9_007_199_254_740_993n, sha256: hashOf("head") };
    expect(nextEntry(head, decided(EVENTS.pruned))).toMatchObject({
      n: "9007199254740994",
      prev: head.sha256,
      event: EVENTS.pruned,
    });
  });

  it("is a chain: sha256sum over each object is what the next one names", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...Object.values(EVENTS)), { maxLength: 12 }), (events) => {
        let head = EMPTY_JOURNAL;
        for (const [index, event] of events.entries()) {
          const bytes = encodeEntry(nextEntry(head, decided(event)));
          const read = decodeEntry(bytes, SUBJECT);
          expect(read.n).toBe(String(index + 1));
          expect(read.prev).toBe(head.sha256);
          head = { n: BigInt(read.n), sha256: sha256(bytes) };
        }
        expect(head.n).toBe(BigInt(events.length));
      }),
    );
  });

  it("has another head after any change of an earlier entry", () => {
    const chain = (first: JournalEvent): string => {
      const one = sha256(encodeEntry(nextEntry(EMPTY_JOURNAL, decided(first))));
      return sha256(encodeEntry(nextEntry({ n: 1n, sha256: one }, decided(EVENTS.pruned))));
    };
    expect(chain(EVENTS.sealed)).not.toBe(chain({ ...EVENTS.sealed, rows: "61" }));
  });
});

describe("an entry", () => {
  it.each(Object.entries(EVENTS))("of type %s comes back from its bytes as it was", (_type, event) => {
    const written = nextEntry({ n: 41n, sha256: hashOf("41") }, decided(event));
    expect(decodeEntry(encodeEntry(written), SUBJECT)).toEqual(written);
  });

  it("has the same bytes whatever order its members had", () => {
    const { format, n, prev, entryId, run, epoch, at, event } = entry;
    const shuffled = { event, at, epoch, run, entryId, prev, n, format };
    expect(encodeEntry(shuffled)).toEqual(encodeEntry(entry));
  });
});

describe("E_FORMAT is the answer to", () => {
  it.each([
    ["no bytes", ""],
    ["half an entry", new TextDecoder().decode(encodeEntry(entry)).slice(0, 100)],
    ["null", "null"],
    ["a list", "[]"],
    ["a text", '"run-started"'],
  ])("%s", (_what, text) => expect(refusal(new TextEncoder().encode(text))).not.toBe(""));

  it("bytes that are not UTF-8", () => {
    expect(refusal(encodeEntry(entry).with(20, 0xff))).toBe("this is not JSON");
  });

  it("an event that this version does not know: it may matter, so it is not skipped", () => {
    for (const type of ["clamped", "empty-day", "SEALED", ""]) {
      expect(refusal(bytesOf({ ...entry, event: { type, segment } }))).toMatch(/^event\.type: /);
    }
    expect(refusal(bytesOf({ ...entry, event: { segment } }))).toMatch(/^event\.type: /);
  });

  it("an event with a key that is not known, or without one that is", () => {
    for (const event of Object.values(EVENTS)) {
      expect(refusal(bytesOf({ ...entry, event: { ...event, surprise: 1 } }))).toMatch(/Unrecognized key/);
      for (const name of Object.keys(event)) {
        const rest = Object.fromEntries(Object.entries(event).filter(([key]) => key !== name));
        expect(refusal(bytesOf({ ...entry, event: rest })), `${event.type} without ${name}`).not.toBe("");
      }
    }
  });

  it.each([
    ["another format", ["format"], 2],
    ["a number as a number", ["n"], 42],
    ["a number with a leading zero", ["n"], "042"],
    ["a negative number", ["n"], "-1"],
    ["a predecessor that is no SHA-256", ["prev"], "00"],
    ["a predecessor in capitals", ["prev"], hashOf("x").toUpperCase()],
    ["an entry id that is no UUID", ["entryId"], "1"],
    ["an epoch that is no number", ["epoch"], "seven"],
    ["a key that is not known", ["surprise"], 1],
    ["a root that is no SHA-256", ["event", "root"], "ff"],
    ["rows as a number", ["event", "rows"], 60],
    ["a pin with a key that is not known", ["event", "object", "surprise"], 1],
    ["a chunk that is no whole number", ["event", "supersedes", 0, "chunks"], [0.5]],
  ] as const)("%s", (_what, path, value) => {
    expect(refusal(bytesOf(replaced(entry, path, value)))).not.toBe("");
  });

  it.each(Object.keys(entry))("an entry without %s", (name) => {
    const rest = Object.fromEntries(Object.entries(entry).filter(([key]) => key !== name));
    expect(refusal(bytesOf(rest))).not.toBe("");
  });
});

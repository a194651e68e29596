/** The journal from end to end: whatever is wrong with it is told at its place, and a listing is not trusted (I5, fault 32). */
import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";

import { type MemoryArchive, openMemoryArchive } from "../../../src/archive/memory/memory-archive.ts";
import type { Archive } from "../../../src/archive/port.ts";
import { readHistory, walkJournal } from "../../../src/archived/walk-journal.ts";
import { isFirnlineError } from "../../../src/errors.ts";
import type { EpochMs } from "../../../src/rows/day.ts";
import { journalKey } from "../../../src/segment/archive-keys.ts";
import {
  EMPTY_JOURNAL,
  encodeEntry,
  type JournalEvent,
  type JournalHead,
  nextEntry,
} from "../../../src/segment/journal.ts";
import { behind } from "../../support/stale-listing.ts";

const PIPELINE = "audit_logs";
const SOURCE = { systemIdentifier: "7400000000000000001", databaseOid: "5", tableOid: "16385" };
const STARTED: JournalEvent = {
  type: "run-started",
  archiveId: "7c0e6f5a-3c0e-4d9a-9f55-0a4f6f0a9b11",
  source: SOURCE,
  writer: "w",
};
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** An archive with a journal of so many runs, or of these events. */
async function journalOf(events: number | readonly JournalEvent[]): Promise<{
  archive: MemoryArchive;
  head: JournalHead;
}> {
  const archive = openMemoryArchive({
    now: () => 0 as EpochMs,
    random: (bytes) => randomBytes(bytes),
    restoreDelayMs: 0,
  });
  let head = EMPTY_JOURNAL;
  const list = typeof events === "number" ? Array.from({ length: events }, () => STARTED) : events;
  for (const event of list) {
    const at = "2026-02-03T02:00:00.000Z";
    const entryId = "80647a7b-5861-490d-afcd-fdab9869a659";
    const bytes = encodeEntry(nextEntry(head, { entryId, run: "r", epoch: "1", at, event }));
    head = { n: head.n + 1n, sha256: sha256(bytes) };
    await archive.create(journalKey(PIPELINE, head.n), bytes);
  }
  return { archive, head };
}

const readerOf = (archive: Archive) => ({
  archive,
  newHash: () => createHash("sha256"),
  pipeline: PIPELINE,
  signal: new AbortController().signal,
});

/** `number: problem` of each entry that has one, and the last head. */
async function walk(archive: Archive): Promise<{ problems: string[]; count: number; head: JournalHead }> {
  const problems: string[] = [];
  let count = 0;
  let head = EMPTY_JOURNAL;
  for await (const one of walkJournal(readerOf(archive))) {
    if (one.problem !== null) problems.push(`${one.n}: ${one.problem}`);
    count += one.entry === null ? 0 : 1;
    head = one.head;
  }
  return { problems, count, head };
}

describe("a journal", () => {
  it.each([0, 1, 7, 8, 9, 30])("of %i entries is read to its end", async (entries) => {
    const { archive, head } = await journalOf(entries);
    expect(await walk(archive)).toEqual({ problems: [], count: entries, head });
    const read = await readHistory(readerOf(archive));
    expect(read.head).toEqual(head);
    expect(read.history.source).toEqual(entries === 0 ? null : SOURCE);
  });

  it("is read whole from a listing that is behind, at its end, its beginning or in between", async () => {
    const { archive, head } = await journalOf(20);
    const hidden = [
      (n: number) => n > 15,
      (n: number) => n < 3,
      (n: number) => n === 9 || n === 10,
      () => true,
    ];
    for (const isHidden of hidden) {
      const store = behind(archive, (key) => !isHidden(Number(key.slice(-25, -5))));
      expect(await walk(store)).toEqual({ problems: [], count: 20, head });
    }
  });

  it("takes no notice of what is none of it", async () => {
    const { archive, head } = await journalOf(3);
    await archive.create(`_firnline/${PIPELINE}/journal/README.txt`, new Uint8Array());
    await archive.create(`_firnline/${PIPELINE}/journal/00000000000000000002.json.bak`, new Uint8Array());
    expect(await walk(archive)).toEqual({ problems: [], count: 3, head });
  });
});

describe("damage is told where it is:", () => {
  const remove = async (archive: MemoryArchive, ...numbers: number[]): Promise<void> => {
    for (const n of numbers) {
      await archive.deleteVersion({ key: journalKey(PIPELINE, BigInt(n)), versionId: null });
    }
  };
  const replace = (archive: MemoryArchive, n: number, change: (text: string) => string): void =>
    archive.corrupt(journalKey(PIPELINE, BigInt(n)), (bytes) =>
      Buffer.from(change(Buffer.from(bytes).toString())),
    );

  it("entries that are missing, and no other", async () => {
    const { archive, head } = await journalOf(12);
    await remove(archive, 4, 5, 9);
    const problems = [4, 5, 9].map((n) => `${n}: this entry is missing`);
    expect(await walk(archive)).toEqual({ problems, count: 9, head });
  });

  it("the first entry", async () => {
    const { archive } = await journalOf(3);
    await remove(archive, 1);
    expect((await walk(archive)).problems).toEqual(["1: this entry is missing"]);
  });

  it("a forged number does not make it count for ever", async () => {
    const { archive } = await journalOf(2);
    const bytes = encodeEntry(
      nextEntry(
        { n: 10n ** 18n, sha256: "0".repeat(64) },
        { entryId: "80647a7b-5861-490d-afcd-fdab9869a659", run: "r", epoch: "1", at: "", event: STARTED },
      ),
    );
    await archive.create(journalKey(PIPELINE, 10n ** 18n + 1n), bytes);
    const { problems } = await walk(archive);
    expect(problems).toEqual([`${10n ** 18n}: this entry is missing, and all from 3 on`]);
  });

  it("an entry that was changed, at the next one; but the last one has none", async () => {
    const { archive } = await journalOf(5);
    replace(archive, 3, (text) => text.replace("2026-02-03", "2026-02-04"));
    expect((await walk(archive)).problems).toEqual([
      "4: it follows another entry than 3: one of the two was changed",
    ]);
    const other = await journalOf(5);
    replace(other.archive, 5, (text) => text.replace("2026-02-03", "2026-02-04"));
    const { problems, head } = await walk(other.archive);
    expect(problems).toEqual([]);
    expect(head).not.toEqual(other.head);
  });

  it.each([
    ["is no JSON", (text: string) => text.slice(1), "this is not JSON"],
    ["has white space", (text: string) => `${text}\n`, "it is not in canonical form"],
    [
      "has another number",
      (text: string) => text.replace('"n":"3"', '"n":"4"'),
      "it says that it is entry 4",
    ],
    [
      "has an unknown event",
      (text: string) => text.replace("run-started", "clamped"),
      "event.type: Invalid discriminator value",
    ],
  ])("an entry that %s", async (_, change, problem) => {
    const { archive } = await journalOf(4);
    replace(archive, 3, change);
    const [first] = (await walk(archive)).problems;
    expect(first).toMatch(`3: ${problem}`);
    const error = await readHistory(readerOf(archive)).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(isFirnlineError(error, "E_VERIFY")).toBe(true);
    expect((error as Error).message).toMatch(`${journalKey(PIPELINE, 3n)}: ${problem}`);
  });

  it("an entry that contradicts the ones before", async () => {
    const { archive } = await journalOf([
      STARTED,
      { type: "prune-started", segment: "000000000001-0123456789abcdef" },
    ]);
    await expect(readHistory(readerOf(archive))).rejects.toThrow(
      /2\.json: it is about segment .*, which is not sealed/,
    );
  });
});

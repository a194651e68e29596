/** Reading an entry of the journal from a store that says what it likes of its size. */
import { expect, test } from "vitest";
import { entryRange, readJournalEntry } from "../../../src/archive/journal-log.ts";
import type { Archive } from "../../../src/archive/port.ts";

const KEY = "_firnline/audit_logs/journal/00000000000000000001.json";
const sized = (bytes: bigint): Archive =>
  ({ head: async () => ({ key: KEY, versionId: null, bytes }) }) as unknown as Archive;

test.each([64n * 1024n * 1024n + 1n, 1n << 40n, 1n << 62n])(
  "an entry of %s bytes is refused before there is memory for it (I10)",
  async (bytes) => {
    await expect(readJournalEntry(sized(bytes), KEY)).rejects.toMatchObject({
      code: "E_VERIFY",
      problem: `it has ${bytes} bytes, which no entry of a journal has`,
    });
  },
);

test("any other is read as a whole", () => {
  expect(entryRange(KEY, 64n * 1024n * 1024n)).toEqual({ start: 0, end: 64 * 1024 * 1024 });
  expect(entryRange(KEY, 0n)).toEqual({ start: 0, end: 0 });
});

/** Rows of a leaf, cut where the chunks of the archive were: short, long, missing and much too large ones. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { readCut } from "../../../src/hot/postgres/copy-reader.ts";
import type { CopyTaker } from "../../../src/postgres/copy-out.ts";
import type { Transaction } from "../../../src/postgres/database.ts";
import { bytesOf, copyStream, fieldsOf } from "../../support/copy-stream.ts";

/** A transaction whose COPY gives these rows of one column, in pieces of `size` bytes. */
function copying(rows: readonly Uint8Array[], size: number): Transaction {
  const stream = copyStream(rows.map((row) => [row]));
  return {
    async *copy(_sql: string, _op: string, take: CopyTaker) {
      for (let at = 0; at < stream.length; at += size) {
        if (take(stream, at, Math.min(at + size, stream.length))) yield;
      }
    },
  } as unknown as Transaction;
}

interface Cut {
  readonly rows: number;
  readonly fields: readonly number[];
}

async function cut(
  values: readonly number[],
  counts: readonly number[],
  { size = 7, bytesMax = 1_000 } = {},
): Promise<(Cut | null)[]> {
  const chunks: (Cut | null)[] = [];
  const tx = copying(
    values.map((value) => bytesOf(value)),
    size,
  );
  for await (const chunk of readCut(tx, "COPY", ["value"], { counts, bytesMax }, "test")) {
    const [column] = chunk?.columns ?? [];
    const fields = column === undefined || chunk === null ? [] : fieldsOf(column, chunk.rows);
    chunks.push(chunk && { rows: chunk.rows, fields: fields.map((field) => field?.[0] as number) });
  }
  return chunks;
}

describe("rows are cut", () => {
  test("at the counts of the chunks", async () => {
    expect(await cut([1, 2, 3, 4, 5], [2, 3])).toEqual([
      { rows: 2, fields: [1, 2] },
      { rows: 3, fields: [3, 4, 5] },
    ]);
  });

  test("into a short chunk and empty ones where rows are missing", async () => {
    expect(await cut([1, 2, 3], [2, 3, 1])).toEqual([
      { rows: 2, fields: [1, 2] },
      { rows: 1, fields: [3] },
      { rows: 0, fields: [] },
    ]);
    expect(await cut([], [1])).toEqual([{ rows: 0, fields: [] }]);
  });

  test("and what comes after the last chunk is counted", async () => {
    expect(await cut([1, 2, 3, 4], [1, 1])).toEqual([
      { rows: 1, fields: [1] },
      { rows: 1, fields: [2] },
      { rows: 2, fields: [] },
    ]);
  });

  test("without keeping a chunk that grew past its limit, and those after it are as they are", async () => {
    // Five bytes a field: two fit, three do not.
    expect(await cut([1, 2, 3, 4, 5], [3, 2], { bytesMax: 10 })).toEqual([null, { rows: 2, fields: [4, 5] }]);
    expect(await cut([1, 2, 3], [4], { bytesMax: 10 })).toEqual([null]);
    expect(await cut([1, 2, 3, 4, 5], [1], { bytesMax: 10 })).toEqual([
      { rows: 1, fields: [1] },
      { rows: 4, fields: [] },
    ]);
  });

  test("so that every row is in one of them, whatever the pieces of the stream", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 64 }),
        async (values, counts, size) => {
          const chunks = await cut(values, counts, { size });
          const total = counts.reduce((sum, count) => sum + count, 0);
          expect(chunks).toHaveLength(counts.length + (values.length > total ? 1 : 0));
          expect(chunks.reduce((sum, chunk) => sum + (chunk?.rows ?? 0), 0)).toBe(values.length);
          expect(chunks.flatMap((chunk) => chunk?.fields ?? [])).toEqual(values.slice(0, total));
        },
      ),
    );
  });
});

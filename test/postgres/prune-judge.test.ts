/** The rows of a chunk are judged while the next chunk's DELETE runs; whatever the judge says, nothing is left half done. */
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Leaf, PruneOutcome } from "../../src/hot/port.ts";
import type { Database } from "../../src/postgres/database.ts";
import type { RawRows } from "../../src/rows/copy-binary.ts";
import { parseDay } from "../../src/rows/day.ts";
import type { Bound } from "../../src/rows/key-range.ts";
import { hotOf } from "./connect.ts";
import { DAY, openScene, rowsOf } from "./types-lossless.ts";

const ROWS = 40;
const CHUNK_ROWS = 4;
const LIMITS = { rowsMax: CHUNK_ROWS, bytesMax: 1 << 20 };

let database: Database;
let client: pg.Client;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  ({ database, client } = await openScene(cleanup));
});
afterAll(async () => await cleanup.disposeAsync());
beforeEach(async () => {
  await client.query(`
    DROP TABLE IF EXISTS judged;
    CREATE TABLE judged (id int PRIMARY KEY, ts timestamptz NOT NULL, body text);
    INSERT INTO judged SELECT n, timestamptz '${DAY} 12:00+00', repeat('x', 200000) || n
    FROM generate_series(1, ${ROWS}) n`);
});

const rowsLeft = async (): Promise<number> =>
  (await client.query("SELECT count(*)::int AS rows FROM judged")).rows[0].rows;

/** Prunes all chunks; says in which order they were judged. */
async function prune(
  judge: (index: number) => boolean,
): Promise<{ outcome: Promise<PruneOutcome>; judged: number[]; exported: RawRows[]; seen: RawRows[] }> {
  const hot = hotOf(database, "judged");
  const source = await hot.describe();
  const leaf = source.leaves[0] as Leaf;
  const [judged, exported, seen]: [number[], RawRows[], RawRows[]] = [[], [], []];
  const froms: Bound[] = [];
  const { range, fingerprint } = await hot.exportPartition(
    source,
    { leaf, rule: "default", day: parseDay(DAY) },
    LIMITS,
    async (partition) => {
      for await (const { first, rows } of partition.chunks) {
        froms.push(froms.length === 0 ? partition.range.from : first);
        exported.push(rows);
      }
      return partition;
    },
  );
  const chunks = froms.map((from, at) => ({ range: { from, to: froms[at + 1] ?? range.to }, ...LIMITS }));
  const outcome = hot.prune(
    source,
    { leaf, fingerprint, predicate: null, chunks },
    {
      before: async () => "delete",
      judge: (index, rows) => {
        judged.push(index);
        seen.push({ rows: rows.rows, columns: rows.columns.map((column) => column.slice()) });
        return judge(index);
      },
      after: async () => {},
    },
  );
  return { outcome, judged, exported, seen };
}

describe("a prune of ten chunks", () => {
  it("judges each one's own rows, in order, before it commits", async () => {
    const { outcome, judged, exported, seen } = await prune(() => true);
    expect(await outcome).toBe("pruned");
    expect(judged).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(rowsOf(seen)).toEqual(rowsOf(exported));
    expect(await rowsLeft()).toBe(0);
  });

  it.each([0, 4, 9])(
    "rolls back as a whole when chunk %i is refused, and judges none after it",
    async (refused) => {
      const { outcome, judged } = await prune((index) => index !== refused);
      expect(await outcome).toBe("refused");
      expect(judged.at(-1)).toBe(refused);
      expect(await rowsLeft()).toBe(ROWS);
      // The connection is of use: the very same rows go.
      expect(await (await prune(() => true)).outcome).toBe("pruned");
    },
  );

  it.each([0, 4, 9])("rolls back as a whole when the judge of chunk %i fails", async (failing) => {
    const { outcome } = await prune((index) => {
      if (index === failing) throw new Error("the judge fell ill");
      return true;
    });
    await expect(outcome).rejects.toThrow("the judge fell ill");
    expect(await rowsLeft()).toBe(ROWS);
    expect(await (await prune(() => true)).outcome).toBe("pruned");
  });

  it("reports the database's own error of the next chunk's DELETE", async () => {
    await client.query(
      `CREATE TABLE kept (judged int REFERENCES judged); INSERT INTO kept VALUES (${CHUNK_ROWS + 1})`,
    );
    try {
      const { outcome } = await prune(() => true);
      await expect(outcome).rejects.toThrow(/foreign key/);
      expect(await rowsLeft()).toBe(ROWS);
    } finally {
      await client.query("DROP TABLE kept");
    }
  });
});

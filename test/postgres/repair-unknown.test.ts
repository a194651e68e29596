/**
 * State `unknown`: after a rebuild nobody knows of some chunks where their rows are. Readers take both tiers, and the next
 * run asks the table.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { loseCatalog } from "../support/control-schema.ts";
import { expectNothingLost, expectRetrievalComplete, expectSettled, readJournal } from "../support/oracle.ts";
import { AS_OF, instantOf, Scenario } from "../support/scenario.ts";
import { expectVerified, verify } from "../support/verified.ts";

/** Six chunks of at most 50 rows in one segment, ids 1001 to 1260. Of a run that is cut, the first three are pruned. */
const DAY = "2026-01-10";
const ROWS = 260;
const GONE = 150;
const CUT = "prune.committed:error@2";

let template: Scenario;

beforeAll(async () => {
  template = await Scenario.create({
    // Batches grow while they are quick enough: here they always are, however busy the machine is.
    environ: { FIRNLINE_SEGMENT_MIB: "1024", FIRNLINE_PRUNE_TARGET_MS: "60000" },
  });
  await template.insert(auditRows(DAY, 1001, ROWS));
  await template.insert(auditRows("2026-02-20", 5001, 10));
});

afterAll(async () => await template[Symbol.asyncDispose]());

async function rebuild(scenario: Scenario): Promise<bigint> {
  await loseCatalog(scenario);
  await using pipeline = scenario.open();
  return (await pipeline.rebuildCatalog()).rowsUnknown;
}

/** What the journal says happened to chunks, without the segment's id. */
async function chunkEvents(scenario: Scenario): Promise<unknown[]> {
  const types = ["prune-started", "pruned", "reconciled", "quarantined", "superseded", "tombstoned"];
  const events = (await readJournal(scenario)).map(({ event }) => event);
  return events
    .filter(({ type }) => types.includes(type))
    .map(({ segment: _, keys: __, reason: ___, ...rest }) => {
      // Of two chunks that are deleted at once, either may be the first that is.
      const { chunks } = rest as { readonly chunks?: readonly number[] };
      return chunks === undefined ? rest : { ...rest, chunks: chunks.toSorted((one, other) => one - other) };
    });
}

const lateRow = `VALUES (7, '${DAY} 00:30:00+00'::timestamptz, 'late', NULL, '{}'::jsonb)`;

describe("a run that was cut while it pruned, and then the catalog was lost", () => {
  /** Rows of chunks 0 to 2 are gone, and no entry of the journal says so. */
  async function cut(): Promise<Scenario> {
    const scenario = await template.copy();
    await scenario.failuresOf({ environ: { FIRNLINE_FAILPOINT: CUT } });
    expect(await scenario.count(`id < 5000`)).toBe(ROWS - GONE);
    return scenario;
  }

  test("rows are read from both tiers, and found where they are", async () => {
    await using scenario = await cut();
    expect(await rebuild(scenario)).toBe(BigInt(ROWS));
    const { result } = await scenario.retrieve();
    expect(result).toMatchObject({ rows: 270n, collapsed: BigInt(ROWS - GONE), conflicting: 0n });
    expect(await scenario.run()).toMatchObject({ state: "done", exported: 0n, pruned: BigInt(ROWS - GONE) });
    // The entry of the first deletions is lost for good: this one says where the rows are.
    expect(await chunkEvents(scenario)).toEqual([
      { type: "prune-started" },
      { type: "reconciled", pruned: [0, 1, 2], sealed: [3, 4, 5] },
      { type: "pruned", chunks: [3, 4, 5], rows: String(ROWS - GONE) },
    ]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    await expectVerified(scenario);
  });

  test("a row that came late into a pruned range does not look like the rows that were there", async () => {
    await using scenario = await cut();
    await scenario.insert(lateRow);
    await rebuild(scenario);
    await expectRetrievalComplete(scenario);
    expect(await scenario.run()).toMatchObject({ state: "done", exported: 1n });
    expect((await chunkEvents(scenario))[1]).toEqual({
      type: "reconciled",
      pruned: [0, 1, 2],
      sealed: [3, 4, 5],
    });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    await expectVerified(scenario);
  });

  test("rows that changed, or moved to another day, are there: the prune finds what they are now", async () => {
    await using scenario = await cut();
    await scenario.change((table) => `UPDATE ${table} SET message = 'changed' WHERE id = 1160`);
    await scenario.change(
      (table) => `UPDATE ${table} SET ts = ts + interval '1 day' WHERE id BETWEEN 1201 AND 1250`,
    );
    await rebuild(scenario);
    expect((await scenario.run()).state).toBe("done");
    expect((await chunkEvents(scenario))[1]).toEqual({
      type: "reconciled",
      pruned: [0, 1, 2],
      sealed: [3, 4, 5],
    });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    await expectVerified(scenario);
  });

  test("rows of which some are gone wait for a person", async () => {
    await using scenario = await cut();
    await scenario.change((table) => `DELETE FROM ${table} WHERE id = 1160`);
    await rebuild(scenario);
    const summary = await scenario.run();
    expect(summary.state).toBe("partly");
    expect(summary.plan.held.filter(({ needsPerson }) => needsPerson)).toMatchObject([{ rows: 50n }]);
    expect((await chunkEvents(scenario)).slice(1)).toEqual([
      { type: "quarantined", chunks: [3] },
      { type: "reconciled", pruned: [0, 1, 2], sealed: [4, 5] },
      { type: "pruned", chunks: [4, 5], rows: "60" },
    ]);
    await expectNothingLost(scenario);
    await expectVerified(scenario);
    await using pipeline = scenario.open();
    const retried = await pipeline.run({ asOf: instantOf(AS_OF), retryQuarantined: true });
    expect(retried).toMatchObject({ state: "done", exported: 49n, pruned: 49n });
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    await expectVerified(scenario);
  });

  test("a crash between the two answers leaves the rest to the next run", async () => {
    await using scenario = await cut();
    await scenario.change((table) => `DELETE FROM ${table} WHERE id = 1160`);
    await rebuild(scenario);
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "reconcile.judged:error" } });
    await expect(failing).rejects.toThrow("failpoint reconcile.judged");
    await expectRetrievalComplete(scenario);
    expect((await scenario.run()).state).toBe("partly");
    expect((await chunkEvents(scenario)).slice(1, 3)).toEqual([
      { type: "quarantined", chunks: [3] },
      { type: "reconciled", pruned: [0, 1, 2], sealed: [4, 5] },
    ]);
    await expectNothingLost(scenario);
  });

  test("a second loss of the catalog, right after the table was asked, changes nothing", async () => {
    await using scenario = await cut();
    await rebuild(scenario);
    const failing = scenario.run({ environ: { FIRNLINE_FAILPOINT: "prune.started:error" } });
    await expect(failing).rejects.toThrow("failpoint prune.started");
    // The journal knows of the first three now, and of the others that they may be on their way.
    expect(await rebuild(scenario)).toBe(BigInt(ROWS));
    await expectRetrievalComplete(scenario);
    expect((await scenario.run()).state).toBe("done");
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    await expectVerified(scenario);
  });
});

describe("rows that the journal calls pruned and that are in the table again", () => {
  /** Everything is pruned, and somebody put rows back. */
  async function putBack(rows: string): Promise<Scenario> {
    const scenario = await template.copy();
    await scenario.run();
    await scenario.query(`INSERT INTO ${scenario.table} SELECT * FROM truth.rows WHERE ${rows}`);
    return scenario;
  }

  test("are told by verify, and given out once", async () => {
    await using scenario = await putBack("id BETWEEN 1051 AND 1100");
    const { findings } = await verify(scenario, { deep: true });
    expect(findings).toEqual([
      expect.stringMatching(
        /^E_SOURCE segment .*: 50 of its pruned rows have their keys in the table again \(the first is 1051\)$/,
      ),
    ]);
    await expectRetrievalComplete(scenario);
  });

  test("are pruned once more where they are the very same", async () => {
    await using scenario = await putBack("id BETWEEN 1051 AND 1150");
    expect(await rebuild(scenario)).toBe(BigInt(ROWS));
    const { result } = await scenario.retrieve();
    expect(result).toMatchObject({ rows: 270n, collapsed: 100n, conflicting: 0n });
    expect(await scenario.run()).toMatchObject({ state: "done", exported: 0n, pruned: 100n });
    expect((await chunkEvents(scenario)).slice(-2)).toEqual([
      { type: "reconciled", pruned: [0, 3, 4, 5], sealed: [1, 2] },
      { type: "pruned", chunks: [1, 2], rows: "100" },
    ]);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    await expectVerified(scenario);
  });

  test("are archived beside what is there where they are others: nothing is given up, and both come out", async () => {
    await using scenario = await putBack("id BETWEEN 1051 AND 1100");
    await scenario.query(`UPDATE ${scenario.table} SET message = 'older' WHERE id = 1077`);
    await scenario.query(`DELETE FROM ${scenario.table} WHERE id = 1078`);
    await rebuild(scenario);
    for (const moment of ["before", "after"]) {
      const { result, lines } = await scenario.retrieve();
      expect([moment, result.rows, result.conflicting]).toEqual([moment, 271n, 2n]);
      expect(lines.filter((line) => /"id":1077\b/.test(line))).toHaveLength(2);
      expect(lines.filter((line) => /"id":1078\b/.test(line))).toHaveLength(1);
      if (moment === "before") expect(await scenario.run()).toMatchObject({ state: "done", exported: 49n });
    }
    expect((await chunkEvents(scenario)).at(-3)).toEqual({
      type: "reconciled",
      pruned: [0, 1, 2, 3, 4, 5],
      sealed: [],
    });
    await expectSettled(scenario);
    await expectVerified(scenario);
  });
});

/** Two deleting transactions at once, of one segment or of two: one that waits or fails keeps nothing of the other. */
import { expect, test, vi } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { moved, Scenario } from "../support/scenario.ts";
import { AT, CatalogScene, PIPELINE } from "./catalog-scene.ts";
import { connect } from "./connect.ts";

/** Ten chunks in one segment. */
const ROWS = 500;
const CHUNK_ROWS = 50;
const ENVIRON = { FIRNLINE_SEGMENT_MIB: "1024", FIRNLINE_LOCK_TIMEOUT_MS: "60000" };

const untilGone = async (scenario: Scenario, where: string): Promise<boolean> =>
  await vi.waitUntil(async () => (await scenario.count(where)) === 0, { timeout: 60_000, interval: 10 });

test("while one waits for a row, the other takes the rest of the segment", async () => {
  await using scenario = await Scenario.create();
  await scenario.insert(auditRows("2026-01-10", 1, ROWS));
  await using other = await connect(scenario.url);
  await other.query("BEGIN; SELECT FROM public.audit_logs WHERE id = 1 FOR UPDATE");
  const running = scenario.run({ environ: ENVIRON });
  await untilGone(scenario, `id > ${CHUNK_ROWS}`);
  expect(await scenario.count()).toBe(CHUNK_ROWS);
  await other.query("COMMIT");
  const summary = await running;
  expect(summary.state).toBe("done");
  expect(moved(summary)).toMatchObject({ exported: ROWS, pruned: ROWS });
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});

test("while one waits for a row, the other takes the next segment", async () => {
  await using scenario = await Scenario.create();
  await scenario.insert(auditRows("2026-01-10", 1, CHUNK_ROWS));
  await scenario.insert(auditRows("2026-01-11", 1_001, ROWS));
  await using other = await connect(scenario.url);
  await other.query("BEGIN; SELECT FROM public.audit_logs WHERE id = 1 FOR UPDATE");
  const running = scenario.run({ environ: ENVIRON });
  await untilGone(scenario, "id > 1000");
  await other.query("COMMIT");
  expect(moved(await running)).toMatchObject({ pruned: ROWS + CHUNK_ROWS });
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});

test("a third one waits its turn: of two that are kept, nobody takes the rest", async () => {
  await using scenario = await Scenario.create();
  await scenario.insert(auditRows("2026-01-10", 1, ROWS));
  await using other = await connect(scenario.url);
  // The first batch, of one chunk, and the second one, which begins before the first one is through.
  await other.query(`BEGIN; SELECT FROM public.audit_logs WHERE id IN (1, ${CHUNK_ROWS + 1}) FOR UPDATE`);
  const running = scenario.run({ environ: ENVIRON });
  await vi.waitUntil(async () => (await scenario.sessionsBlocked()) === 2, { timeout: 60_000, interval: 10 });
  expect(await scenario.count()).toBe(ROWS);
  await other.query("COMMIT");
  expect(moved(await running)).toMatchObject({ pruned: ROWS });
  await expectSettled(scenario);
});

test("with a concurrency of one there is one: what it waits for, all wait for", async () => {
  await using scenario = await Scenario.create();
  await scenario.insert(auditRows("2026-01-10", 1, ROWS));
  await using other = await connect(scenario.url);
  await other.query("BEGIN; SELECT FROM public.audit_logs WHERE id = 1 FOR UPDATE");
  const running = scenario.run({ environ: { ...ENVIRON, FIRNLINE_CONCURRENCY: "1" } });
  await vi.waitUntil(async () => await scenario.isSomebodyBlocked(), { timeout: 60_000, interval: 10 });
  expect(await scenario.count()).toBe(ROWS);
  await other.query("COMMIT");
  expect(moved(await running)).toMatchObject({ pruned: ROWS });
  await expectSettled(scenario);
});

test("when one fails, what the other has deleted is journaled, and the next run goes on", async () => {
  await using scenario = await Scenario.create();
  await scenario.insert(auditRows("2026-01-10", 1, ROWS));
  await using other = await connect(scenario.url);
  await other.query("BEGIN; SELECT FROM public.audit_logs WHERE id = 1 FOR UPDATE");
  const environ = { ...ENVIRON, FIRNLINE_LOCK_TIMEOUT_MS: "1500", FIRNLINE_ATTEMPTS: "1" };
  const summary = await scenario.run({ environ });
  expect(summary).toMatchObject({ state: "partly", failures: [{ code: "E_DATABASE", blocked: true }] });
  expect(await scenario.count()).toBe(CHUNK_ROWS);
  await expectNothingLost(scenario);
  await other.query("ROLLBACK");
  expect(moved(await scenario.run({ environ }))).toMatchObject({ exported: 0, pruned: CHUNK_ROWS });
  await expectNothingLost(scenario);
  await expectSettled(scenario);
});

test("of two that prune a segment's last chunks at once, the second settles it", async () => {
  await using scene = await CatalogScene.create();
  const lease = await scene.lease();
  const segment = await scene.pruning(lease, [10, 20]);
  const [pruned, mayCommit] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const first = scene.transaction(async (tx) => {
    await scene.catalog.lockChunks(tx, lease, segment, [0]);
    await scene.catalog.chunksPruned(tx, lease, segment, [0], 10n, AT);
    pruned.resolve();
    await mayCommit.promise;
  });
  await pruned.promise;
  const second = scene.prune(lease, segment, [1], 20n);
  const blocked =
    "SELECT FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0 AND datname = current_database()";
  await vi.waitUntil(async () => (await scene.database.query(blocked)).rowCount === 1, { timeout: 60_000 });
  mayCommit.resolve();
  await Promise.all([first, second]);
  const { state, rowsUnpruned } = await scene.catalog.segment(PIPELINE, segment);
  expect({ state, rowsUnpruned }).toEqual({ state: "warm", rowsUnpruned: 0n });
  expect((await scene.catalog.pending(PIPELINE)).map(({ event }) => event)).toMatchObject([
    { type: "pruned", segment, chunks: [0, 1], rows: "30" },
  ]);
});

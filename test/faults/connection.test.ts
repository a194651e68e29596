/** Fault matrix, lines 6 and 13 to 16: what the network does between Firnline and Postgres. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { isFirnlineError } from "../../src/errors.ts";
import { createBusyDays, DELETABLE } from "../support/busy-days.ts";
import { isCommit, losingCommit } from "../support/losing-commit.ts";
import { expectNothingLost, expectSettled, readTiers } from "../support/oracle.ts";
import { runAlone } from "../support/postgres.ts";
import { AS_OF, instantOf, moved, type Scenario } from "../support/scenario.ts";
import { startProxy } from "../support/tcp-proxy.ts";

let template: Scenario;
let undisturbed: unknown;
/** How many COMMITs one run sends. */
let commits = 0;

beforeAll(async () => {
  template = await createBusyDays();
  await using scenario = await template.copy();
  const count = (piece: Buffer): void => void (isCommit(piece) && (commits += 1));
  await using proxy = await startProxy(scenario.url, {
    onAsked: (_, piece) => {
      count(piece);
      return "pass";
    },
  });
  expect(moved(await scenario.run({ url: proxy.url }))).toMatchObject({ pruned: 450, deleted: 45 });
  undisturbed = await readTiers(scenario);
});

afterAll(async () => await template[Symbol.asyncDispose]());

async function expectRecovered(scenario: Scenario): Promise<void> {
  expect((await scenario.run()).state).toBe("done");
  await expectNothingLost(scenario, { deletable: DELETABLE });
  expect(await readTiers(scenario)).toEqual(undisturbed);
  await expectSettled(scenario);
}

describe("a COMMIT of a deleting transaction", () => {
  test.concurrent.each([
    ["COPY (DELETE FROM", 1, "reply"],
    ["COPY (DELETE FROM", 2, "reply"],
    ["COPY (DELETE FROM", 5, "reply"],
    ["COPY (DELETE FROM", 1, "request"],
    ["COPY (DELETE FROM", 4, "request"],
    ["DELETE FROM ONLY", 2, "reply"],
    ["RETURNING", 3, "request"],
  ] as const)(
    "(%s, number %i) whose %s is lost is done, and never done twice",
    async (statement, nth, lost) => {
      await using scenario = await template.copy();
      const script = losingCommit(statement, nth, lost);
      await using proxy = await startProxy(scenario.url, script);
      const summary = await scenario.run({ url: proxy.url });
      expect(script.hits).toBeGreaterThan(nth);
      expect(moved(summary)).toMatchObject({ exported: 450, pruned: 450, cooled: 130 });
      expect(summary.drift).toEqual([]);
      await expectNothingLost(scenario, { deletable: DELETABLE });
      expect(await readTiers(scenario)).toEqual(undisturbed);
      await expectSettled(scenario);
    },
  );

  test.concurrent.each(["reply", "request"] as const)(
    "whose %s is lost, without retries, is seen by the next run",
    async (lost) => {
      await using scenario = await template.copy();
      await using proxy = await startProxy(scenario.url, losingCommit("COPY (DELETE FROM", 2, lost));
      const failures = await scenario.failuresOf({ url: proxy.url, environ: { FIRNLINE_ATTEMPTS: "1" } });
      expect(failures).toMatchObject([{ code: "E_DATABASE", retryable: true }]);
      await expectNothingLost(scenario, { deletable: DELETABLE });
      await expectRecovered(scenario);
    },
  );
});

describe("any COMMIT of a run", () => {
  // A COMMIT of the journal's bookkeeping: the archive has the entry, and the run does not know that the catalog has it.
  test.concurrent.each([2, 4, 5, 9])("may be one of the journal's (number %i)", async (nth) => {
    await using scenario = await template.copy();
    const script = losingCommit("SET journal_n", nth, "reply");
    await using proxy = await startProxy(scenario.url, script);
    const failures = await scenario.failuresOf({ url: proxy.url });
    expect(script.hits).toBeGreaterThanOrEqual(nth);
    for (const failure of failures)
      expect(isFirnlineError(failure, "E_DATABASE"), String(failure)).toBe(true);
    await scenario.query("UPDATE firnline.pipeline SET lease_expires_at = '-infinity'");
    await expectRecovered(scenario);
  });

  const sample = [0.06, 0.13, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97];
  test.concurrent.each(sample)("may lose its reply (at %d of the run)", async (place) => {
    await using scenario = await template.copy();
    await using proxy = await startProxy(scenario.url, losingCommit("", Math.ceil(commits * place), "reply"));
    for (const failure of await scenario.failuresOf({ url: proxy.url })) {
      expect(isFirnlineError(failure, "E_DATABASE"), String(failure)).toBe(true);
    }
    await expectNothingLost(scenario, { deletable: DELETABLE });
    // A lease that could not be given back belongs to this very process, which lives: it would have to expire.
    await scenario.query("UPDATE firnline.pipeline SET lease_expires_at = '-infinity'");
    await expectRecovered(scenario);
  });
});

describe("a server that falls silent", () => {
  test.concurrent.each([
    ["COPY (SELECT", 2],
    ["COPY (DELETE FROM", 3],
  ])("in a COPY (%s) is given up, and nothing is lost (fault 14)", async (statement, nth) => {
    await using scenario = await template.copy();
    let hits = 0;
    await using proxy = await startProxy(scenario.url, {
      onAsked(connection, piece) {
        if (piece.includes(statement)) hits += 1;
        if (piece.includes(statement) && hits === nth) connection.stall();
        return "pass";
      },
    });
    const environ = { FIRNLINE_COPY_SILENCE_SECONDS: "2", FIRNLINE_ATTEMPTS: "1" };
    const failures = await scenario.failuresOf({ url: proxy.url, environ });
    expect(failures).toMatchObject([
      { code: "E_DATABASE", problem: expect.stringContaining("silent for 2000 ms") },
    ]);
    await expectNothingLost(scenario, { deletable: DELETABLE });
    await expectRecovered(scenario);
  });

  test.concurrent("for good is overtaken by another run, and changes nothing when it wakes (fault 15)", async () => {
    await using scenario = await template.copy();
    let isSilent = false;
    await using proxy = await startProxy(scenario.url, {
      onAsked(connection, piece) {
        // From the first deleting transaction's bookkeeping on, no connection gets an answer any more.
        if (connection.asked("COPY (DELETE FROM") && piece.includes("UPDATE firnline.chunk")) isSilent = true;
        return isSilent ? "drop" : "pass";
      },
      onAnswer: () => (isSilent ? "drop" : "pass"),
    });
    const run = scenario.run({ url: proxy.url });
    const ended = run.then(
      () => "done",
      (error: unknown) => error,
    );
    await vi.waitUntil(() => isSilent, { timeout: 60_000 });
    // Its backend sits in an open transaction and holds locks. An operator, or a time-out, ends it.
    await runAlone(
      scenario.url,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'firnline audit_logs'`,
    );
    await scenario.query("UPDATE firnline.pipeline SET lease_expires_at = '-infinity'");
    await expectRecovered(scenario);
    isSilent = false;
    proxy.resetAll();
    expect(await ended).toMatchObject({ code: expect.stringMatching(/^E_(?:DATABASE|STALE)$/) });
    await expectSettled(scenario);
  });
});

describe("a backend that is terminated", () => {
  const terminate = async (scenario: Scenario): Promise<void> => {
    await scenario.query(
      `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'firnline audit_logs'`,
    );
  };

  test.concurrent("while idle does no harm to the process (fault 16)", async () => {
    await using scenario = await template.copy();
    await using pipeline = scenario.open();
    await pipeline.plan({ asOf: instantOf(AS_OF) });
    await terminate(scenario);
    expect((await pipeline.run({ asOf: instantOf(AS_OF), backfill: true })).state).toBe("done");
    await terminate(scenario);
    expect((await pipeline.run({ asOf: instantOf(AS_OF) })).plan.steps).toEqual([]);
    await expectNothingLost(scenario, { deletable: DELETABLE });
  });

  test.concurrent.each(["seal.sealed:pause", "prune.deleted:pause@2", "export.uploading:pause@2"])(
    "at %s ends the run with an error at worst, never with a crash",
    async (failpoint) => {
      await using scenario = await template.copy();
      await using run = scenario.spawnRun({ FIRNLINE_FAILPOINT: failpoint });
      await run.stopped();
      await terminate(scenario);
      run.resume();
      const { code, signal, stdout, stderr } = await run.ended;
      expect(signal).toBeNull();
      expect([0, 1, 3]).toContain(code);
      if (code !== 0) expect(`${stdout}${stderr}`).toContain("E_DATABASE ");
      await expectNothingLost(scenario, { deletable: DELETABLE });
      await expectRecovered(scenario);
    },
  );
});

test("a deadlock is retried (fault 41)", async () => {
  await using scenario = await template.copy();
  // Whoever waits for a second looks for the deadlock first, and gives way: not this session.
  await scenario.query(
    "SET deadlock_timeout = '60s'; BEGIN; SELECT FROM public.audit_logs WHERE id = 130 FOR UPDATE",
  );
  // In one lane, and on a slow machine too, the second batch has two chunks.
  const environ = {
    FIRNLINE_CONCURRENCY: "1",
    FIRNLINE_LOCK_TIMEOUT_MS: "20000",
    FIRNLINE_SEGMENT_MIB: "1024",
    FIRNLINE_PRUNE_TARGET_MS: "60000",
  };
  const run = scenario.run({ environ });
  await vi.waitUntil(async () => await scenario.isSomebodyBlocked(), { timeout: 60_000 });
  // The second batch has deleted chunk 1 and waits for a row of chunk 2; this waits for a row of chunk 1.
  await scenario.query("SELECT FROM public.audit_logs WHERE id = 60 FOR UPDATE; COMMIT");
  expect(moved(await run)).toMatchObject({ pruned: 450 });
  const [deadlocks] = await scenario.query(
    "SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()",
  );
  expect(deadlocks).toEqual({ deadlocks: 1 });
  await expectNothingLost(scenario, { deletable: DELETABLE });
  await expectSettled(scenario);
});

/** What every transaction of Firnline has, whatever the database, the role or the network say. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Database } from "../../src/postgres/database.ts";
import { createDatabase, runAlone, type TestDatabase } from "../support/postgres.ts";

let owned: TestDatabase;

beforeAll(async () => {
  owned = await createDatabase();
});

afterAll(async () => await owned[Symbol.asyncDispose]());

const LIMITS = {
  lockTimeoutMs: 1_000,
  copySilenceMs: 1_000,
  statementMs: 60_000,
  idleInTransactionMs: 60_000,
};

const open = (limits: Partial<typeof LIMITS> = {}): Database =>
  new Database({
    connectionString: owned.url,
    applicationName: "firnline test",
    connectionsMax: 2,
    ...LIMITS,
    ...limits,
  });

test("a connection that died while it was idle is replaced before anybody notices (fault 16)", async () => {
  await using database = open();
  await database.query("SELECT 1");
  // This process stands still meanwhile, so it cannot have heard of the connection's end.
  const script = `
    import pg from "pg";
    const client = new pg.Client(${JSON.stringify(owned.url)});
    await client.connect();
    const { rows } = await client.query(
      "SELECT pg_terminate_backend(pid, 10000) AS ended FROM pg_stat_activity " +
      "WHERE datname = current_database() AND application_name = 'firnline test'");
    console.log(rows.filter(({ ended }) => ended).length);
    await client.end();`;
  const ended = spawnSync(process.execPath, ["--input-type=module", "--eval", script], { encoding: "utf8" });
  expect(ended).toMatchObject({ status: 0, stdout: "1\n" });
  expect((await database.query("SELECT 2 AS two")).rows).toEqual([{ two: 2 }]);
});

describe("a writing transaction", () => {
  test("waits for the disk, also where the database was told not to: the journal must never know more", async () => {
    await runAlone(owned.url, `ALTER DATABASE "${owned.name}" SET synchronous_commit = off`);
    await using database = open();
    const setting = await database.transaction("read write", "test", async (tx) => {
      return (await tx.query("SELECT current_setting('synchronous_commit') AS value")).rows[0]?.["value"];
    });
    expect(setting).toBe("on");
  });

  test("of a process that is frozen is ended by the server", async () => {
    await using database = open({ idleInTransactionMs: 100 });
    const frozen = database.transaction("read write", "test", async (tx) => {
      await tx.query("SELECT 1");
      await new Promise((resolve) => setTimeout(resolve, 600));
      await tx.query("SELECT 2");
    });
    await expect(frozen).rejects.toMatchObject({ code: "E_DATABASE" });
    expect((await database.query("SELECT 3 AS value")).rows).toEqual([{ value: 3 }]);
  });
});

describe("a statement", () => {
  test("whose answer does not come ends with an error, and the connection is not used again", async () => {
    await using database = open({ statementMs: 200 });
    await expect(database.query("SELECT pg_sleep(20)")).rejects.toMatchObject({ code: "E_DATABASE" });
    expect((await database.query("SELECT 4 AS value")).rows).toEqual([{ value: 4 }]);
  });
});

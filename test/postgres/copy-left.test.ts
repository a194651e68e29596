/** A COPY whose rows are not read to their end: who stopped, and why, is what is told. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { FirnlineError } from "../../src/errors.ts";
import { Database, type Transaction } from "../../src/postgres/database.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { OPTIONS } from "./connect.ts";

let owned: TestDatabase;
let database: Database;
beforeAll(async () => {
  owned = await createDatabase();
  // One connection: what comes next finds out if the last one gave back a broken one.
  database = new Database({ ...OPTIONS, connectionsMax: 1, connectionString: owned.url });
  await database.query(
    "CREATE TABLE public.t AS SELECT n, repeat('x', 100) FROM generate_series(1, 20000) n",
  );
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  await owned[Symbol.asyncDispose]();
});

const ROWS = "COPY (SELECT * FROM public.t) TO STDOUT (FORMAT binary)";
const DELETED = "COPY (DELETE FROM public.t RETURNING *) TO STDOUT (FORMAT binary)";

/** Leaves the loop as soon as there is something. */
async function leave(tx: Transaction, sql: string): Promise<string> {
  for await (const _ of tx.copy(sql, "test", () => true)) return "seen enough";
  return "nothing came";
}

const count = async (): Promise<unknown> =>
  (await database.query("SELECT count(*)::int AS rows FROM public.t")).rows[0]?.["rows"];

test("a reader that has seen enough has its answer, and the next one a connection", async () => {
  for (let times = 0; times < 3; times += 1) {
    const read = database.transaction(
      "repeatable read, read only",
      "test",
      async (tx) => await leave(tx, ROWS),
    );
    expect(await read).toBe("seen enough");
  }
  expect(await count()).toBe(20_000);
});

test.each(["read write", "repeatable read, read write"] as const)(
  "what has to be committed cannot be any more (%s): it says so, and nothing is",
  async (mode) => {
    const left = database.transaction(mode, "prune", async (tx) => await leave(tx, DELETED));
    await expect(left).rejects.toMatchObject({
      code: "E_INTERNAL",
      problem: "prune: the rows of a COPY were not read to their end, so that nothing was committed",
      retryable: false,
    });
    expect(await count()).toBe(20_000);
  },
);

test.each(["read write", "repeatable read, read only"] as const)(
  "the reason of whoever stopped is what is told (%s)",
  async (mode) => {
    const full = new FirnlineError({
      code: "E_CAPACITY",
      subject: "/tmp",
      problem: "it is full",
      hint: "Wait",
    });
    const stopped = database.transaction(mode, "test", async (tx) => {
      for await (const _ of tx.copy(ROWS, "test", () => true)) throw full;
    });
    await expect(stopped).rejects.toBe(full);
    expect(await count()).toBe(20_000);
  },
);

test("a statement after it says what became of the connection", async () => {
  const after = database.transaction("repeatable read, read only", "test", async (tx) => {
    await leave(tx, ROWS);
    return await tx.query("SELECT 1", [], "look");
  });
  await expect(after).rejects.toMatchObject({
    code: "E_DATABASE",
    problem: expect.stringMatching(/^look: (?!.*silent)/),
  });
});

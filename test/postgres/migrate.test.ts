/** The control schema's migrations: applied once, whoever comes at the same time, and never by an older binary. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";

import {
  checkSchemaVersion,
  migrate,
  type Migration,
  readMigrations,
  readSchemaVersion,
} from "../../src/catalog/postgres/migrate.ts";
import type { Database } from "../../src/postgres/database.ts";
import { createDatabase } from "../support/postgres.ts";
import { connect, openDatabase } from "./connect.ts";

const NAMES = readMigrations().map(({ name }) => name);

/** Migrations that each make a table of their own; a second application of one would fail. */
const synthetic = (count: number): Migration[] =>
  Array.from({ length: count }, (_, index) => ({
    version: index + 1,
    name: `00000${index + 1}_step.sql`,
    sql: `CREATE TABLE firnline.step_${index + 1} (); INSERT INTO firnline.step_${index + 1} DEFAULT VALUES;`,
  }));

const versionOf = async (database: Database): Promise<number> =>
  await database.transaction("repeatable read, read only", "version", readSchemaVersion);

/** Every relation and every migration that is there, as text. */
async function contents(database: Database): Promise<string[]> {
  const relations = await database.query(
    `SELECT format('%s %s.%s', c.relkind, n.nspname, c.relname) AS line
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1`,
  );
  const applied = await database.query(
    "SELECT format('%s %s %s', version, name, applied_at) AS line FROM firnline.migration ORDER BY version",
  );
  return [...relations.rows, ...applied.rows].map((row) => String(row["line"]));
}

describe("twenty migrators at once", () => {
  it.each([
    ["Firnline's own migrations", readMigrations()],
    ["five migrations", synthetic(5)],
  ])("on a fresh database all succeed, and each of %s is applied once", async (_what, migrations) => {
    await using owned = await createDatabase();
    await using cleanup = new AsyncDisposableStack();
    const migrators = Array.from({ length: 20 }, () => cleanup.use(openDatabase(owned.url)));
    const applied = await Promise.all(migrators.map(async (database) => await migrate(database, migrations)));
    expect(applied.flat().sort()).toEqual(migrations.map(({ name }) => name));
    expect(await versionOf(migrators[0] as Database)).toBe(migrations.length);
  });
});

describe("migrations", () => {
  it("are applied once: a second time does nothing at all", async () => {
    await using owned = await createDatabase();
    await using database = openDatabase(owned.url);
    expect(await migrate(database)).toEqual(NAMES);
    const before = await contents(database);
    expect(await migrate(database)).toEqual([]);
    expect(await contents(database)).toEqual(before);
  });

  it("go on where an older version stopped, and name what was missing", async () => {
    await using owned = await createDatabase();
    await using database = openDatabase(owned.url);
    expect(await migrate(database, synthetic(2))).toEqual(["000001_step.sql", "000002_step.sql"]);
    expect(await migrate(database, synthetic(4))).toEqual(["000003_step.sql", "000004_step.sql"]);
    expect(await versionOf(database)).toBe(4);
  });

  it("stay whole: of one that fails nothing is left, and those before it stay", async () => {
    await using owned = await createDatabase();
    await using database = openDatabase(owned.url);
    const [first, second] = synthetic(2) as [Migration, Migration];
    const broken = { ...second, sql: `${second.sql} SELECT nothing FROM nowhere;` };
    await expect(migrate(database, [first, broken])).rejects.toThrow(
      /migrate 000002_step\.sql: relation "nowhere" does not exist/,
    );
    expect(await versionOf(database)).toBe(1);
    expect((await contents(database)).join()).not.toContain("step_2");
    expect(await migrate(database, [first, second])).toEqual(["000002_step.sql"]);
  });

  it("make nothing outside of their own schema, and take an empty one that is there already", async () => {
    await using owned = await createDatabase();
    await using client = await connect(owned.url);
    await client.query("CREATE SCHEMA firnline; CREATE TABLE public.migration (version int)");
    await using database = openDatabase(owned.url);
    expect(await migrate(database)).toEqual(NAMES);
    const outside = (await contents(database)).filter((line) => / (?!firnline\.)\w+\.\w+$/.test(line));
    expect(outside).toEqual(["r public.migration"]);
  });

  it("do not depend on the search path of the session", async () => {
    await using owned = await createDatabase();
    await using client = await connect(owned.url);
    await client.query(`CREATE SCHEMA trap; CREATE TABLE trap.migration (version int, name text);
      ALTER DATABASE ${owned.name} SET search_path = trap, public`);
    await using database = openDatabase(owned.url);
    expect(await migrate(database)).toEqual(NAMES);
    expect((await client.query("SELECT FROM trap.migration")).rowCount).toBe(0);
  });
});

describe("the lean segments of 000005", () => {
  const BEFORE = `
    INSERT INTO firnline.pipeline (pipeline, archive_id, archive_url, source) VALUES ('audit', gen_random_uuid(), 'file:///a', '{}');
    INSERT INTO firnline.segment (pipeline, segment, state, rule, day_from, day_to, rows, bytes, storage_class, version_id, etag,
      sha256, manifest_sha256, manifest_bytes, manifest_version_id, replaces, archived_as_of, legal_hold, shape)
    VALUES ('audit', '000000000001-00000000000000aa', 'warm', 'default', '2026-01-03', '2026-01-03', 60, 4096, 'STANDARD', 'v1',
        '"e1"', '\\x01', '\\x02', 512, 'v2', false, '2026-02-03 02:00:00.000001+00', NULL, '0a1b2c3d4e5f6071'),
      ('audit', '000000000002-00000000000000bb', 'exporting', 'default', '2026-01-04', '2026-01-04', 0, 0, 'STANDARD', NULL,
        NULL, NULL, NULL, 0, NULL, true, NULL, true, NULL);
    INSERT INTO firnline.chunk (pipeline, segment, chunk, state, rows)
      VALUES ('audit', '000000000001-00000000000000aa', 0, 'superseded', 60);
    GRANT SELECT, UPDATE ON firnline.segment TO pg_monitor`;

  async function migrated(): Promise<AsyncDisposableStack & { readonly database: Database }> {
    const stack = new AsyncDisposableStack();
    const owned = stack.use(await createDatabase());
    const database = stack.use(openDatabase(owned.url));
    await migrate(database, readMigrations().slice(0, 4));
    {
      await using client = await connect(owned.url);
      await client.query(BEFORE);
    }
    expect(await migrate(database, readMigrations().slice(0, 5))).toEqual(["000005_lean_segments.sql"]);
    return Object.assign(stack, { database });
  }

  it("keep what the rows say", async () => {
    await using stack = await migrated();
    const { rows } = await stack.database.query(
      "SELECT to_jsonb(s) AS row FROM firnline.segment s ORDER BY segment",
    );
    const nothing = { leaf_oid: null, leaf_schema: null, leaf_name: null, tagged_at: null };
    const unlocked = { lock_mode: null, locked_until: null };
    expect(rows.map(({ row }) => row)).toEqual([
      {
        pipeline: "audit",
        segment: "000000000001-00000000000000aa",
        state: "warm",
        rule: "default",
        day_from: "2026-01-03",
        day_to: "2026-01-03",
        rows: 60,
        bytes: 4096,
        storage_class: "STANDARD",
        version_id: "v1",
        manifest_sha256: "\\x02",
        manifest_bytes: 512,
        manifest_version_id: "v2",
        replaces: false,
        archived_as_of: expect.stringMatching(/02:00:00\.000001/),
        legal_hold: null,
        shape: "\\x0a1b2c3d4e5f6071",
        ...nothing,
        ...unlocked,
      },
      {
        pipeline: "audit",
        segment: "000000000002-00000000000000bb",
        state: "exporting",
        rule: "default",
        day_from: "2026-01-04",
        day_to: "2026-01-04",
        rows: 0,
        bytes: 0,
        storage_class: "STANDARD",
        version_id: null,
        manifest_sha256: null,
        manifest_bytes: 0,
        manifest_version_id: null,
        replaces: true,
        archived_as_of: null,
        legal_hold: true,
        shape: null,
        ...nothing,
        ...unlocked,
      },
    ]);
  });

  it("keep who may do what, and what refers to a segment", async () => {
    await using stack = await migrated();
    const { rows } = await stack.database.query(
      `SELECT has_table_privilege('pg_monitor', 'firnline.segment', 'SELECT, UPDATE') AS may,
              has_table_privilege('pg_monitor', 'firnline.segment', 'DELETE') AS more`,
    );
    expect(rows).toEqual([{ may: true, more: false }]);
    await expect(
      stack.database.query("DELETE FROM firnline.segment WHERE state = 'warm'", []),
    ).rejects.toThrow(/chunk_pipeline_segment_fkey/);
  });
});

describe("an older binary", () => {
  it("refuses a newer schema before it changes anything", async () => {
    await using owned = await createDatabase();
    await using database = openDatabase(owned.url);
    await migrate(database, synthetic(3));
    const before = await contents(database);
    // Its own two migrations are not even looked at: names and contents differ, and nothing is applied.
    const older = synthetic(2).map((one) => ({ ...one, sql: "CREATE TABLE public.never ()" }));
    await expect(migrate(database, older)).rejects.toThrow(
      "E_CATALOG schema firnline: the control schema has version 3, this Firnline knows 2. " +
        "Use the Firnline that migrated it, or a newer one.",
    );
    expect(await contents(database)).toEqual(before);
  });

  it("refuses every other command on it", async () => {
    await using owned = await createDatabase();
    await using database = openDatabase(owned.url);
    await migrate(database, synthetic(3));
    await expect(checkSchemaVersion(database, 2)).rejects.toThrow(
      "E_CATALOG schema firnline: the control schema has version 3, this Firnline knows 2. ",
    );
  });
});

describe("the check before every command", () => {
  it("says what is wrong, and what to do", async () => {
    await using owned = await createDatabase();
    await using database = openDatabase(owned.url);
    await expect(checkSchemaVersion(database)).rejects.toThrow(
      "E_CATALOG schema firnline: there is no control schema. Run `firnline migrate`.",
    );
    await migrate(database, synthetic(2));
    await expect(checkSchemaVersion(database, 2)).resolves.toBeUndefined();
    await expect(checkSchemaVersion(database, 3)).rejects.toThrow(
      "E_CATALOG schema firnline: the control schema has version 2 of 3. Run `firnline migrate`.",
    );
  });

  it("passes after `migrate`, and changes nothing", async () => {
    await using owned = await createDatabase();
    await using database = openDatabase(owned.url);
    await migrate(database);
    const before = await contents(database);
    await checkSchemaVersion(database);
    expect(await contents(database)).toEqual(before);
  });

  it("takes a control schema without its table of migrations for none", async () => {
    await using owned = await createDatabase();
    await using client = await connect(owned.url);
    await client.query("CREATE SCHEMA firnline");
    await using database = openDatabase(owned.url);
    expect(await versionOf(database)).toBe(0);
  });
});

describe("the files of migrations", () => {
  async function filesNamed<T>(names: readonly string[], work: (folder: URL) => T): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), "firnline-migrations-"));
    try {
      for (const name of names) await writeFile(join(folder, name), `-- ${name}\n`);
      return work(pathToFileURL(`${folder}/`));
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  it("are read in the order of their numbers, other files left aside", async () => {
    const names = ["000002_second.sql", "README.md", "000001_first.sql", "000003_x.sql.orig"];
    expect(await filesNamed(names, readMigrations)).toEqual([
      { version: 1, name: "000001_first.sql", sql: "-- 000001_first.sql\n" },
      { version: 2, name: "000002_second.sql", sql: "-- 000002_second.sql\n" },
    ]);
  });

  it.each([
    ["a gap", ["000001_a.sql", "000003_c.sql"], "000003_c.sql", 2],
    ["a number twice", ["000001_a.sql", "000001_b.sql"], "000001_b.sql", 2],
    ["a first one that is not 1", ["000002_b.sql"], "000002_b.sql", 1],
    ["a number 0", ["000000_a.sql", "000001_b.sql"], "000000_a.sql", 1],
    ["a name without a number", ["000001_a.sql", "second.sql"], "second.sql", 2],
    ["a number with too few digits", ["1_a.sql"], "1_a.sql", 1],
    ["a name with capitals", ["000001_A.sql"], "000001_A.sql", 1],
  ])("with %s are refused", async (_what, names, subject, expected) => {
    await expect(filesNamed(names, readMigrations)).rejects.toThrow(
      `E_INTERNAL ${subject}: migrations are numbered without gaps, expected ${expected}. `,
    );
  });

  it("are found without being told where, and are at least one", () => {
    expect(NAMES[0]).toBe("000001_initial.sql");
  });
});

/** What the roles are granted on the control schema against the statements that the code sends. Needs no database. */
import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { GRANTS } from "../../../src/catalog/postgres/grants.ts";
import { readMigrations } from "../../../src/catalog/postgres/migrate.ts";

const CATALOG = new URL("../../../src/catalog/postgres/", import.meta.url);
/** The administrator's: they write what nobody else may. */
const ADMINISTRATION = ["migrate.ts", "rebuild.ts"];

/** `INSERT segment`, for each table that a statement writes. */
async function written(): Promise<Set<string>> {
  const names = (await readdir(CATALOG)).filter((name) => !ADMINISTRATION.includes(name));
  const texts = await Promise.all(names.map(async (name) => await readFile(new URL(name, CATALOG), "utf8")));
  const found = new Set<string>();
  for (const text of texts) {
    for (const [, verb, table] of text.matchAll(/\b(INSERT INTO|UPDATE|DELETE FROM)\s+firnline\.(\w+)/g)) {
      found.add(`${verb?.split(" ")[0]} ${table}`);
    }
    // Upserts, and row locks, which take UPDATE too.
    for (const [, table] of text.matchAll(/INSERT INTO firnline\.(\w+)[^;]*?ON CONFLICT[^;]*?DO UPDATE/g)) {
      found.add(`UPDATE ${table}`);
    }
    for (const [, table] of text.matchAll(/FROM firnline\.(\w+)[^"`]*\bFOR (?:NO KEY )?(?:UPDATE|SHARE)/g)) {
      found.add(`UPDATE ${table}`);
    }
  }
  return found;
}

describe("the grants on the control schema", () => {
  it("are all that is sent by somebody, and nothing else", async () => {
    const granted = Object.values(GRANTS).flatMap((tables) =>
      Object.entries(tables).flatMap(([table, privileges]) =>
        privileges.filter((one) => one !== "SELECT").map((privilege) => `${privilege} ${table}`),
      ),
    );
    expect([...new Set(granted)].sort()).toEqual([...(await written())].sort());
  });

  it("name tables that there are, and let nobody write what he may not read", () => {
    const made = readMigrations().flatMap(({ sql }) =>
      [...sql.matchAll(/CREATE TABLE firnline\.(\w+)/g)].map(([, table]) => table as string),
    );
    for (const tables of Object.values(GRANTS)) {
      expect([...made, "migration"]).toEqual(expect.arrayContaining(Object.keys(tables)));
      for (const privileges of Object.values(tables)) expect(privileges).toContain("SELECT");
    }
  });

  it("give what is garbage to `collect` alone, and restored copies to retrievals", () => {
    const who = (privilege: string, table: string): string[] =>
      Object.entries(GRANTS).flatMap(([work, tables]) =>
        tables[table]?.some((one) => one === privilege) === true ? [work] : [],
      );
    expect(who("INSERT", "garbage")).toEqual(["collect"]);
    expect(who("DELETE", "garbage")).toEqual(["collect"]);
    expect(who("INSERT", "restore")).toEqual(["retrieve"]);
    expect(who("INSERT", "hold")).toEqual(["run"]);
    expect(who("INSERT", "segment")).toEqual(["run"]);
    // Segments are given up, and never forgotten; so are retrievals and holds.
    for (const table of ["segment", "retrieval", "hold", "pipeline", "run"])
      expect(who("DELETE", table)).toEqual([]);
  });
});

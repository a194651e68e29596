/**
 * Tables that shadow those of the server: each session of Firnline begins with empty temporary tables of their names, as a
 * pooler's session has that somebody used before. What is asked of the server must be answered by the server.
 */
import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { expectNothingLost, expectSettled } from "../support/oracle.ts";
import { fillShape, SHAPES } from "../support/partitioned-logs.ts";
import { moved, Scenario } from "../support/scenario.ts";
import { expectVerified } from "../support/verified.ts";

const SOURCES = new URL("../../src/", import.meta.url);

/** Every word of the code that is the name of a table or view of the server. */
async function catalogNames(): Promise<string[]> {
  const paths = (await readdir(SOURCES, { recursive: true })).filter((path) => /\.(?:ts|sql)$/.test(path));
  const texts = await Promise.all(paths.map(async (path) => await readFile(new URL(path, SOURCES), "utf8")));
  return [...new Set(texts.flatMap((text) => text.match(/\bpg_[a-z_]+\b/g) ?? []))].sort();
}

test.each(SHAPES.filter(({ what }) => what === "days" || what === "other schemas and hostile names"))(
  "temporary tables with the server's names, and the source's, are in nobody's way: $what",
  async ({ what: _, leavesLeft, ...options }) => {
    await using scenario = await Scenario.create(options);
    const names = await catalogNames();
    const [shadowed] = await scenario.query(
      `SELECT array_agg(relname::text ORDER BY relname) AS names FROM pg_class
       WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') AND relname = ANY ($1)`,
      [names],
    );
    const shadows = [
      ...((shadowed?.["names"] ?? []) as unknown as string[]),
      "audit_logs",
      "segment",
      "pipeline",
      "chunk",
      "rows",
    ];
    expect(shadows.length).toBeGreaterThan(20);
    await scenario.query(`
      CREATE SCHEMA shadows;
      CREATE FUNCTION shadows.cast() RETURNS event_trigger LANGUAGE plpgsql AS $shadow$
      DECLARE one text;
      BEGIN
        IF current_setting('application_name') NOT LIKE 'firnline%' THEN RETURN; END IF;
        FOREACH one IN ARRAY '{${shadows.join(",")}}'::text[] LOOP
          EXECUTE format('CREATE TEMPORARY TABLE %I (nothing int)', one);
        END LOOP;
      END $shadow$;
      CREATE EVENT TRIGGER cast_shadows ON login EXECUTE FUNCTION shadows.cast()`);
    await fillShape(scenario);
    expect(moved(await scenario.run())).toMatchObject({ exported: 190, pruned: 190 });
    const left = await scenario.query(
      `SELECT c.relname FROM pg_partition_tree($1::regclass) t JOIN pg_class c ON c.oid = t.relid WHERE t.isleaf ORDER BY 1`,
      [scenario.table],
    );
    expect(left.map(({ relname }) => relname)).toEqual(leavesLeft);
    await expectNothingLost(scenario);
    await expectSettled(scenario);
    await expectVerified(scenario);
    await using pipeline = scenario.open();
    expect(await pipeline.doctor()).toMatchObject({ findings: [] });
  },
);

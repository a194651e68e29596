/**
 * Peak memory of moving one large day (I10): `node test/bench/memory.ts 5000000`, with Node 24. Prints one JSON line.
 * Rows are audit rows of about 560 bytes; the server is an embedded Postgres, whose memory is its own and not counted.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { readSettings } from "../../src/config.ts";
import { startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { parsePolicy } from "../../src/policy/policy.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { migrateDatabase } from "../../src/wiring.ts";

const ROWS = `INSERT INTO audit
  SELECT n, '2026-01-05 00:00+00'::timestamptz + n * (86000.0 / $1) * interval '1 second', md5((n % 5000)::text)::uuid,
         'action' || n % 30, 'resource/' || n % 50000, format('10.%s.%s.%s', n % 250, n % 240, n % 99)::inet,
         'message number ' || n || ' ' || md5(n::text),
         jsonb_build_object('request', md5((n * 7)::text), 'payload', repeat(md5((n % 1000)::text), 5 + n % 5),
                            'status', n % 500, 'nested', jsonb_build_object('a', n, 'b', md5((n * 3)::text)))
  FROM generate_series(1, $1::int) n`;

const rows = Number(process.argv[2] ?? 1_000_000);
const folder = await mkdtemp(join(tmpdir(), "firnline-memory-"));
try {
  await using server = await startEmbeddedPostgres({ durable: true, settings: { max_wal_size: "4GB" } });
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  await client.query(`CREATE TABLE audit (id bigint PRIMARY KEY, ts timestamptz NOT NULL, actor uuid, action text,
    resource text, ip inet, message text, details jsonb)`);
  await client.query(ROWS, [rows]);
  await client.query("CREATE INDEX ON audit (ts)");
  await client.query("VACUUM ANALYZE audit");
  await client.end();

  const settings = readSettings({});
  await migrateDatabase(server.url(), settings);
  const policy = parsePolicy(
    `version: 1
pipeline: audit
source: { connection: DATABASE_URL, table: public.audit, time: ts }
archive: { url: "${pathToFileURL(folder).href}" }
tiers: { hot: { keep: 30d }, warm: { keep: 365d } }
`,
    "memory.yaml",
  );
  await using pipeline = new Pipeline({ policy, connectionString: server.url(), settings });
  const startedMs = performance.now();
  const summary = await pipeline.run();
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  console.log(
    JSON.stringify({ case: "firnline.move", rows, pruned: Number(summary.pruned), seconds, peakRssBytes }),
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}

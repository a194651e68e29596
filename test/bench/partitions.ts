/**
 * Whole native partitions: `node test/bench/partitions.ts 365 50000`, with Node 24.
 * Makes a table of so many daily leaves of so many rows each, moves all of them with whole-leaf drops, and retrieves every
 * row again, month by month. Prints one JSON line a step. Rows are audit rows of about 560 bytes; the server is an
 * embedded Postgres. 365 x 50,000 rows need some 25 GB for a while, below the folder for temporary files.
 */
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { readSettings } from "../../src/config.ts";
import { startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { Pipeline } from "../../src/pipeline.ts";
import { parsePolicy } from "../../src/policy/policy.ts";
import { parseRange } from "../../src/retrieve/request.ts";
import { addDays, dayStart, formatDay, parseDay } from "../../src/rows/day.ts";
import { migrateDatabase } from "../../src/wiring.ts";

const leaves = Number(process.argv[2] ?? 365);
const rowsPerLeaf = Number(process.argv[3] ?? 50_000);
const FIRST = parseDay("2024-01-01");

const ROWS = `INSERT INTO audit
  SELECT $2::bigint * $1 + n, $3::timestamptz + n * (86399.0 / $1) * interval '1 second', md5((n % 5000)::text)::uuid,
         'action' || n % 30, 'resource/' || n % 50000, format('10.%s.%s.%s', n % 250, n % 240, n % 99)::inet,
         'message number ' || n || ' ' || md5(n::text),
         jsonb_build_object('request', md5((n * 7)::text), 'payload', repeat(md5((n % 1000)::text), 5 + n % 5),
                            'status', n % 500, 'nested', jsonb_build_object('a', n, 'b', md5((n * 3)::text)))
  FROM generate_series(1, $1::int) n`;

const say = (line: Record<string, unknown>): void => console.log(JSON.stringify(line));
const secondsSince = (startedMs: number): number => Math.round((performance.now() - startedMs) / 100) / 10;

const folder = await mkdtemp(join(tmpdir(), "firnline-partitions-"));
try {
  await using server = await startEmbeddedPostgres({ durable: true, settings: { max_wal_size: "4GB" } });
  const client = new pg.Client({ connectionString: server.url() });
  client.on("error", () => {}); // told by the query that it fails
  await client.connect();
  await client.query(`SET TimeZone = 'UTC'; CREATE TABLE audit (id bigint, ts timestamptz NOT NULL, actor uuid, action text,
    resource text, ip inet, message text, details jsonb, PRIMARY KEY (ts, id)) PARTITION BY RANGE (ts)`);
  for (let index = 0; index < leaves; index += 1) {
    const [from, to] = [index, index + 1].map((day) => formatDay(addDays(FIRST, day)));
    await client.query(
      `CREATE TABLE audit_${index} PARTITION OF audit FOR VALUES FROM ('${from}') TO ('${to}')`,
    );
    await client.query(ROWS, [rowsPerLeaf, index, `${from} 00:00+00`]);
  }
  await client.query("VACUUM ANALYZE audit");
  const truth = await client.query(
    `SELECT to_char(ts, 'YYYY-MM') AS month, count(*)::text AS rows, sum(id)::text AS ids, sum(length(message))::text AS letters
     FROM audit GROUP BY 1 ORDER BY 1`,
  );

  const settings = readSettings({});
  await migrateDatabase(server.url(), settings);
  const policy = parsePolicy(
    `version: 1
pipeline: audit
source: { connection: DATABASE_URL, table: public.audit, time: ts }
archive: { url: "${pathToFileURL(folder).href}" }
tiers: { hot: { keep: 30d }, warm: { keep: 3650d } }
prune: partitions
`,
    "partitions.yaml",
  );
  await using pipeline = new Pipeline({ policy, connectionString: server.url(), settings });
  let startedMs = performance.now();
  const summary = await pipeline.run({ asOf: dayStart(addDays(FIRST, leaves + 31)), backfill: true });
  const seconds = secondsSince(startedMs);
  const left = await client.query(
    "SELECT count(*)::int AS tables FROM pg_class WHERE relname ~ '^audit_[0-9]+$' AND relkind = 'r'",
  );
  say({
    case: "firnline.move-partition",
    leaves,
    rows: Number(summary.pruned),
    seconds,
    rowsPerSecond: Math.round(Number(summary.pruned) / seconds),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    state: summary.state,
    leavesLeft: left.rows[0].tables,
  });

  startedMs = performance.now();
  let [rows, wrong] = [0, 0];
  for (const month of truth.rows as { month: string; rows: string; ids: string; letters: string }[]) {
    const out = join(folder, "answer.ndjson");
    // A range ends with its last day.
    const last = new Date(`${month.month}-01T00:00:00Z`);
    last.setUTCMonth(last.getUTCMonth() + 1, 0);
    const range = parseRange(`${month.month}-01`, last.toISOString().slice(0, 10), []);
    await pipeline.retrieve(range, { out, requestedBy: "bench" });
    let [ids, letters] = [0n, 0n];
    let count = 0;
    for await (const line of createInterface({ input: createReadStream(out) })) {
      const row = JSON.parse(line) as { id: string | number; message: string };
      ids += BigInt(row.id);
      letters += BigInt(row.message.length);
      count += 1;
    }
    if (`${count} ${ids} ${letters}` !== `${month.rows} ${month.ids} ${month.letters}`) wrong += 1;
    rows += count;
    await rm(out);
    await rm(`${out}.evidence.json`);
  }
  say({
    case: "retrieve.partitions",
    rows,
    seconds: secondsSince(startedMs),
    months: truth.rows.length,
    monthsThatDiffer: wrong,
  });
  await client.end();
} finally {
  await rm(folder, { recursive: true, force: true });
}

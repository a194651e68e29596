/** What the catalog holds of a segment for ever: less than 300 bytes with its indexes, where the archive is a folder. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";

import type { RebuiltSegment } from "../../src/catalog/upkeep.ts";
import { PostgresUpkeep } from "../../src/catalog/postgres/upkeep.ts";
import { addDays } from "../../src/rows/day.ts";
import { segmentId } from "../../src/segment/archive-keys.ts";
import { AT, CatalogScene, day, hashOf, LONG_MS, PIPELINE } from "./catalog-scene.ts";

const SEGMENTS = 10_000;
const FIRST = day("2020-01-01");
/** Lengths of S3's. */
const VERSION_LENGTH = 32;

/** A year is warm, what is older is cold: a segment a day of five rules. */
function segmentOf(n: number, isVersioned: boolean): RebuiltSegment {
  const back = Math.floor((SEGMENTS - n) / 5);
  const random = createHash("sha256").update(`${n}`).digest();
  const version = (text: string): string | null =>
    isVersioned ? hashOf(`${text} ${n}`).slice(0, VERSION_LENGTH) : null;
  return {
    segment: segmentId(BigInt(n + 1), random),
    state: back > 365 ? "cold" : "warm",
    leaf: null,
    rule: ["default", "access_denied", "billing", "logins", "exports"][n % 5] as string,
    dayFrom: addDays(FIRST, Math.floor(n / 5)),
    dayTo: addDays(FIRST, Math.floor(n / 5)),
    rows: 1_000_000n,
    storageClass: back > 365 ? "DEEP_ARCHIVE" : "STANDARD",
    object: { versionId: version("object"), bytes: 100_000_000n },
    manifest: { versionId: version("manifest"), sha256: hashOf(`manifest ${n}`), bytes: 200_000n },
    taggedAt: null,
    sealedAt: AT,
    shape: hashOf("shape").slice(0, 16),
    chunks: [],
  };
}

async function bytesASegment(isVersioned: boolean): Promise<number> {
  await using scene = await CatalogScene.create();
  const lease = await scene.lease();
  const segments = Array.from({ length: SEGMENTS }, (_, n) => segmentOf(n, isVersioned));
  await new PostgresUpkeep(scene.database).rebuild(
    { run: "rebuild", holder: { host: "h1", pid: 41, space: "s" }, durationMs: LONG_MS, lease },
    {
      pipeline: PIPELINE,
      archiveId: "7c0e6f5a-3c0e-4d9a-9f55-0a4f6f0a9b11",
      archiveUrl: "file:///archive",
      source: { systemIdentifier: "7400000000000000001", databaseOid: "5", tableOid: "41" },
      policy: null,
      journal: { n: 1n, sha256: hashOf("entry") },
      epoch: 1n,
      segments,
      holds: [],
      detached: [],
      decision: null,
      forgotten: [],
    },
  );
  const { rows } = await scene.database.query(
    `SELECT sum(pg_total_relation_size(c.oid))::float8 AS bytes, (SELECT count(*)::int FROM firnline.segment) AS segments
     FROM pg_class c WHERE c.relnamespace = 'firnline'::regnamespace AND c.relkind = 'r'
       AND c.relname IN ('segment', 'chunk', 'draft', 'pin')`,
  );
  expect(rows[0]?.["segments"]).toBe(SEGMENTS);
  return (rows[0]?.["bytes"] as number) / SEGMENTS;
}

test("a segment of a folder takes less than 300 bytes of the catalog", async () => {
  expect(await bytesASegment(false)).toBeLessThan(300);
});

test("where the bucket keeps versions, their two names come to it", async () => {
  expect(await bytesASegment(true)).toBeLessThan(370);
});

/** A manifest of three chunks and two columns, and one piece of it replaced. */
import { createHash } from "node:crypto";

import type { NewSha256 } from "../../../src/segment/digest.ts";
import { type Manifest, type ManifestChunk, manifestRoot } from "../../../src/segment/manifest.ts";

export const newHash: NewSha256 = () => createHash("sha256");
export const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex");

const SEGMENT = "000000000042-0123456789abcdef";

function chunk(index: number, rows: number): ManifestChunk {
  const bound = (at: number) => ({ time: `2026-01-03 0${at}:00:00.000000`, key: [String(at * 100)] });
  return {
    segment: SEGMENT,
    day: "2026-01-03",
    rows,
    from: index === 0 ? { time: "2026-01-03 00:00:00.000000", key: null } : bound(index),
    to: index === 2 ? { time: "2026-01-04 00:00:00.000000", key: null } : bound(index + 1),
    salts: [0, 1].map((column) => hashOf(`salt ${index} ${column}`).slice(0, 32)),
    digests: [0, 1].map((column) => hashOf(`digest ${index} ${column}`)),
    exceptions: index === 1 ? [{ column: 1, row: 0, rows: 1, field: "0000000000000000" }] : [],
  };
}

/** The same content every time, so that tests may name what they find in it. */
export function sampleManifest(changes: Partial<Omit<Manifest, "root">> = {}): Manifest {
  const withoutRoot: Omit<Manifest, "root"> = {
    format: 1,
    archiveId: "7c0e6f5a-3c0e-4d9a-9f55-0a4f6f0a9b11",
    pipeline: "audit_logs",
    segment: SEGMENT,
    rule: "default",
    predicate: "(action = 'login'::text) IS NOT TRUE",
    dayFrom: "2026-01-03",
    dayTo: "2026-01-03",
    table: { schema: "public", name: "audit_logs", oid: "16385" },
    source: { systemIdentifier: "7400000000000000001", databaseOid: "5", tableOid: "16385" },
    fingerprint: hashOf("fingerprint"),
    time: { column: "ts", zone: null },
    key: ["id"],
    columns: [
      {
        name: "id",
        attribute: "id",
        attnum: 1,
        type: "bigint",
        select: "value",
        kind: "int8",
        precision: null,
        scale: null,
      },
      {
        name: "ts",
        attribute: "ts",
        attnum: 2,
        type: "timestamp with time zone",
        select: "value",
        kind: "timestamptz",
        precision: null,
        scale: null,
      },
    ],
    rows: "60",
    object: {
      key: `audit_logs/daily/rule=default/dt=2026-01-03/${SEGMENT}.parquet`,
      versionId: "v1",
      etag: '"e1"',
      sha256: hashOf("object"),
      bytes: "4096",
    },
    rowGroups: [2, 1],
    chunks: [chunk(0, 10), chunk(1, 20), chunk(2, 30)],
    run: "run-1",
    epoch: "7",
    exportedAt: "2026-02-03T02:00:00.000Z",
    writer: "firnline 0.1.0",
    ...changes,
  };
  return { ...withoutRoot, root: manifestRoot(newHash, withoutRoot) };
}

/** A place in a JSON document. */
export type Path = readonly (string | number)[];

/** A copy with the value at `path` replaced, whatever its type was. */
export function replaced<T>(document: T, path: Path, value: unknown): T {
  const copy = structuredClone(document) as never;
  let parent: Record<string | number, never> = copy;
  for (const step of path.slice(0, -1)) parent = parent[step] as never;
  parent[path.at(-1) as string | number] = value as never;
  return copy;
}

/** Every place that holds a text, a number, a boolean or null. */
export function scalars(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([name, item]) =>
    scalars(item, [...path, Array.isArray(value) ? Number(name) : name]),
  );
}

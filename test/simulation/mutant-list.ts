/** Deliberate bugs, each a small change of one source file. The simulation has to find every one of them. */
import { readFileSync } from "node:fs";

interface Edit {
  /** In `src`. */
  readonly file: string;
  /** Exactly once in the file. */
  readonly find: string;
  readonly put: string;
}

export interface Mutant extends Edit {
  readonly name: string;
  /** What else has to be wrong, where two places guard the same. */
  readonly also?: Edit;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "digest skips a column",
    file: "segment/seal-verdict.ts",
    find: "expected.digests.findIndex((digest, column) => digests[column] !== digest)",
    put: "expected.digests.slice(0, -1).findIndex((digest, column) => digests[column] !== digest)",
  },
  {
    name: "prune believes every row",
    file: "stages/prune.ts",
    find: 'return verdict.verdict === "proven";',
    put: "return true;",
  },
  {
    name: "prune without a seal",
    file: "stages/execute-steps.ts",
    find: 'const segment = wants("seal")',
    put: "const segment = false",
  },
  {
    name: "seal reads nothing back",
    file: "stages/seal.ts",
    find: 'if (verdict.verdict === "differs") {',
    put: 'if (verdict.verdict === "differs" && failpoint === undefined) {',
  },
  {
    name: "tombstones are a filter",
    file: "retrieve/retrieve-range.ts",
    find: "const isWanted = wantedRows(united.timeColumn, limits, filters);",
    put: `const { readJournalEntry } = await import("../archive/journal-log.ts");
  const dead = new Set<string>();
  for await (const { key } of archive.list(\`_firnline/\${pipeline}/journal/\`)) {
    const { event } = JSON.parse(Buffer.from((await readJournalEntry(archive, key)) as Uint8Array).toString());
    if (event.type === "tombstoned") for (const [id] of event.keys) dead.add(id);
  }
  const all = wantedRows(united.timeColumn, limits, filters);
  const isDead = (rows: any, row: number): boolean =>
    dead.has(rows.column(0).view.getBigInt64(rows.column(0).starts[row]).toString());
  const isWanted = (rows: any, begin: number): any => {
    for (let from = begin; from < rows.count; ) {
      const found = all(rows, from);
      if (found === null) return null;
      let first = found.from;
      while (first < found.to && isDead(rows, first)) first += 1;
      let to = first;
      while (to < found.to && !isDead(rows, to)) to += 1;
      if (to > first) return { from: first, to };
      from = found.to;
    }
    return null;
  };`,
  },
  {
    name: "sooner without a confirmation",
    file: "plan/blockers.ts",
    find: "input.previous === undefined || input.confirmSooner === true",
    put: "input.previous === undefined || input.confirmSooner !== undefined",
  },
  {
    name: "due a day too soon",
    file: "policy/ages.ts",
    find: "return addDays(dayOf(asOf), -keepDays - 1);",
    put: "return addDays(dayOf(asOf), -keepDays);",
  },
  {
    name: "due a day too late",
    file: "policy/ages.ts",
    find: "return addDays(dayOf(asOf), -keepDays - 1);",
    put: "return addDays(dayOf(asOf), -keepDays - 2);",
  },
  {
    name: "ranges hold their ends",
    file: "hot/postgres/sql-text.ts",
    find: 'const operator = side === "from" ? ">=" : "<";',
    put: 'const operator = side === "from" ? ">=" : "<=";',
  },
  {
    name: "no guard on the lease",
    file: "catalog/postgres/lease.ts",
    find: "  if (rowCount !== 1) throw staleLease(lease);\n}\n\nexport async function acquireLease",
    put: "  void rowCount;\n}\n\nexport async function acquireLease",
  },
  {
    name: "a lease for everybody",
    file: "catalog/postgres/lease.ts",
    find: "AND (lease_run IS NULL OR lease_expires_at < clock_timestamp() OR lease_run = $5)",
    put: "",
  },
  {
    name: "a journal number that is taken",
    file: "stages/journal.ts",
    find: 'if (created.outcome === "created") return',
    put: "if (created.outcome !== undefined) return",
  },
  {
    name: "a manifest is written over",
    file: "stages/seal.ts",
    find: "const created = await archive.create(key, draft);",
    put: "await archive.deleteVersion({ key, versionId: (await archive.head({ key, versionId: null }))?.versionId ?? null }); const created = await archive.create(key, draft);",
  },
  {
    name: "a deletion is not journaled",
    file: "catalog/postgres/segments.ts",
    find: 'await mergeEntry(tx, lease, { type: "pruned", segment, chunks: [...chunks], rows: rows.toString() }, at);',
    put: "",
  },
  {
    name: "chunks are merged by the last batch",
    file: "catalog/postgres/outbox.ts",
    find: "jsonb_build_object('chunks', (o.event -> 'chunks') || (excluded.event -> 'chunks'))",
    put: "jsonb_build_object('chunks', excluded.event -> 'chunks')",
  },
  {
    name: "a pruned chunk is superseded",
    file: "segment/state.ts",
    find: 'export const REPLACEABLE_CHUNKS: readonly ChunkState[] = ["sealed", "quarantined"];',
    put: 'export const REPLACEABLE_CHUNKS: readonly ChunkState[] = ["sealed", "quarantined", "pruned"];',
    also: {
      file: "catalog/postgres/views.ts",
      find: 'sealed: inState("sealed")',
      put: 'sealed: [...inState("sealed"), ...inState("pruned")]',
    },
  },
  {
    name: "answers without late rows",
    file: "retrieve/retrieve-range.ts",
    find: "if (spool.rows > 0n) {",
    put: "if (spool.rows > 0n && segments.length === 0) {",
  },
  {
    name: "answers hold chunks that are hot",
    file: "catalog/postgres/retrievals.ts",
    find: "WHERE c.state IN ('pruned', 'unknown')",
    put: "WHERE c.state IN ('sealed', 'pruned', 'unknown')",
  },
  {
    name: "answers from two snapshots",
    file: "retrieve/take-snapshot.ts",
    find: "const found = await catalog.readable(tx, pipeline, dayFrom, dayTo);",
    put: "const found = expected;",
  },
  {
    name: "no rows prove a chunk",
    file: "segment/prune-guard.ts",
    find: "if (chunk === undefined) return drift(`the manifest has no chunk ${chunkIndex}`);",
    put: 'if (chunk === undefined || deleted.rows === 0) return { verdict: "proven" };',
  },
  {
    name: "collect without a recovery window",
    file: "repair/collect.ts",
    find: "(clock.now() - policy.archive.recoveryDays * DAY_MS) as EpochMs",
    put: "(clock.now() + 0 * policy.archive.recoveryDays * DAY_MS) as EpochMs",
  },
];

export const editsOf = ({ also, ...edit }: Mutant): readonly Edit[] => [
  edit,
  ...(also === undefined ? [] : [also]),
];

export const sourceOf = ({ file }: Edit): URL => new URL(`../../src/${file}`, import.meta.url);

export function mutantNamed(name: string): Mutant {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (mutant === undefined) throw new Error(`no mutant is called ${JSON.stringify(name)}`);
  return mutant;
}

/** Texts that are not in their sources exactly once: the bug cannot be put there any more. */
export const misplaced = (mutant: Mutant): readonly string[] =>
  editsOf(mutant).flatMap((edit) => {
    const times = readFileSync(sourceOf(edit), "utf8").split(edit.find).length - 1;
    return times === 1 ? [] : [`${edit.file} has the text of "${mutant.name}" ${times} times`];
  });

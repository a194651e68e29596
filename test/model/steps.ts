/** What may come next in a history: commands for fast-check, as plain data. */
import * as fc from "fast-check";
import { FAILPOINTS } from "../../src/failpoint.ts";
import type { Call } from "./gate.ts";
import { TERMS, type TermsName } from "./terms.ts";
import { dueRows, firstRows, updateNearby, write, writeNearby, type Write } from "./writes.ts";

/** Calls of a run between which anything may happen. */
const RUN_CALLS: readonly Call[] = [
  "hot.inventory",
  "hot.exportPartition",
  "hot.fingerprint",
  "hot.prune",
  "hot.deleteOnly",
  "hot.missingKeys",
  "catalog.acquireLease",
  "catalog.view",
  "catalog.startRun",
  "catalog.enqueue",
  "catalog.pending",
  "catalog.published",
  "catalog.reserveSegment",
  "catalog.uploaded",
  "catalog.draft",
  "catalog.abandon",
  "catalog.classRequested",
  "catalog.chunks",
  "catalog.replaceable",
  "catalog.lockChunks",
  "catalog.chunksPruned",
  "catalog.rowsDeleted",
  "catalog.finishRun",
  "leafDrop.count",
  "leafDrop.detach",
  "leafDrop.drop",
  "detaching.add",
  "detaching.lock",
  "detaching.dropped",
  "detaching.openSegments",
  "archive.create",
  "archive.head",
  "archive.read",
  "archive.setClass",
];
/** Calls that commit: here it matters most whether one dies before or after, or never hears the answer. */
const COMMITTING_CALLS: readonly Call[] = [
  "hot.prune",
  "hot.deleteOnly",
  "leafDrop.detach",
  "leafDrop.drop",
  "catalog.published",
  "catalog.uploaded",
  "catalog.chunksPruned",
  "archive.create",
];
/** Those around which a write of the application meets rows on their way. */
const BUSY_CALLS: readonly Call[] = [
  "hot.inventory",
  "hot.exportPartition",
  "hot.fingerprint",
  "hot.prune",
  "hot.missingKeys",
  "catalog.published",
  "catalog.uploaded",
  "catalog.draft",
  "catalog.chunks",
  "catalog.replaceable",
  "catalog.lockChunks",
  "catalog.chunksPruned",
  "leafDrop.count",
  "leafDrop.detach",
  "leafDrop.drop",
  "detaching.dropped",
  "archive.create",
];
const RETRIEVAL_CALLS: readonly Call[] = [
  "catalog.startRetrieval",
  "catalog.readableNow",
  "catalog.readable",
  "catalog.pinSegments",
  "catalog.finishRetrieval",
  "hot.readRange",
  "hot.timeLimits",
  "archive.head",
  "archive.read",
];

const placeOf = (calls: readonly Call[]): fc.Arbitrary<string> =>
  fc.tuple(fc.constantFrom(...calls), fc.constantFrom("before", "after")).map((parts) => parts.join(" "));
const hit = fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 9 }));
const once = fc.constant(1);

const crash = fc.record({
  what: fc.constant("crash"),
  at: fc.oneof(
    placeOf(RUN_CALLS),
    placeOf(COMMITTING_CALLS),
    fc.constantFrom(...FAILPOINTS).map((name) => `failpoint ${name}`),
  ),
  hit,
  times: once,
});
const failure = fc.record({
  what: fc.constant("failure"),
  at: fc.oneof(placeOf(RUN_CALLS), placeOf(COMMITTING_CALLS)),
  hit,
  times: fc.integer({ min: 1, max: 2 }),
  isRetryable: fc.boolean(),
});
const writing = fc.record({
  what: fc.constant("write"),
  at: placeOf(BUSY_CALLS),
  hit,
  times: once,
  write: writeNearby,
});
/** Rows that change whenever they are about to go: what is exported anew drifts again, until it is quarantined. */
const restless = fc.record({
  what: fc.constant("write"),
  at: fc.constantFrom("catalog.lockChunks before", "hot.prune before", "catalog.draft after"),
  hit: fc.constant(1),
  times: fc.integer({ min: 2, max: 12 }),
  write: updateNearby,
});
const onlooker = fc.record({
  what: fc.constantFrom("retrieve", "look"),
  at: placeOf(RUN_CALLS),
  hit,
  times: once,
});
const rival = fc.record({ what: fc.constant("run"), at: placeOf(RUN_CALLS), hit, times: once });
const rivalOfRetrieval = fc.record({
  what: fc.constantFrom("run", "write"),
  at: placeOf(RETRIEVAL_CALLS),
  hit: fc.integer({ min: 1, max: 3 }),
  times: once,
  write,
});

export type Happening = { readonly at: string; readonly hit: number; readonly times: number } & (
  | { readonly what: "crash" | "retrieve" | "look" | "run" }
  | { readonly what: "failure"; readonly isRetryable: boolean }
  | { readonly what: "write"; readonly write: Write }
);

const happenings = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  { weight: 3, arbitrary: fc.tuple(crash) },
  { weight: 4, arbitrary: fc.array(writing, { minLength: 1, maxLength: 3 }) },
  { weight: 2, arbitrary: fc.tuple(restless) },
  { weight: 2, arbitrary: fc.tuple(writing, crash) },
  { weight: 2, arbitrary: fc.tuple(failure) },
  { weight: 1, arbitrary: fc.tuple(writing, failure) },
  { weight: 2, arbitrary: fc.tuple(onlooker) },
  { weight: 1, arbitrary: fc.tuple(rival) },
) as fc.Arbitrary<Happening[]>;

const range = fc.oneof(
  fc.constant(null),
  fc.record({ from: fc.integer({ min: -8, max: 4 }), days: fc.integer({ min: 0, max: 5 }) }),
);

const step = fc.oneof(
  { weight: 16, arbitrary: fc.record({ step: fc.constant("write"), write }) },
  { weight: 7, arbitrary: fc.record({ step: fc.constant("run"), before: dueRows, happenings }) },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constant("retry quarantined"), before: dueRows, happenings }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ step: fc.constant("wait"), hours: fc.constantFrom(12, 24, 24, 48, 96) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      step: fc.constant("terms"),
      terms: fc.constantFrom(...(Object.keys(TERMS) as TermsName[])),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      step: fc.constant("retrieve"),
      range,
      happenings: fc.oneof(fc.constant([]), fc.tuple(rivalOfRetrieval)),
    }),
  },
);

export type Range = { readonly from: number; readonly days: number } | null;
export type Step =
  | { readonly step: "write"; readonly write: Write }
  | {
      readonly step: "run" | "retry quarantined";
      /** Rows that the run finds, besides what is there already. */
      readonly before: readonly Write[];
      readonly happenings: readonly Happening[];
    }
  | { readonly step: "wait"; readonly hours: number }
  | { readonly step: "terms"; readonly terms: TermsName }
  | { readonly step: "retrieve"; readonly range: Range; readonly happenings: readonly Happening[] };

export const anyStep = step as fc.Arbitrary<Step>;

export const beginning = fc.record({
  /** Whether the table has native partitions, of two days each. */
  isPartitioned: fc.boolean(),
  sizes: fc.record({
    chunkRows: fc.integer({ min: 1, max: 3 }),
    rowGroupRows: fc.constantFrom(3, 6, 100),
    isSplit: fc.boolean(),
    pruneChunks: fc.integer({ min: 1, max: 3 }),
    isVersioned: fc.boolean(),
  }),
  rows: firstRows,
});
export type Beginning = typeof beginning extends fc.Arbitrary<infer B> ? B : never;

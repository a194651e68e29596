/** What a journal says: each event, what contradicts the ones before, and runs of any shape against a plain model. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { chunkNumbers, chunkSet } from "../../../src/segment/chunk-set.ts";
import { emptyHistory, type History, replay, type SegmentHistory } from "../../../src/segment/history.ts";
import {
  EMPTY_JOURNAL,
  type JournalEntry,
  type JournalEvent,
  nextEntry,
} from "../../../src/segment/journal.ts";
import { isWhollySuperseded, manifestProblem, standingAfterRebuild } from "../../../src/segment/standing.ts";
import { hashOf, sampleManifest } from "./sample-manifest.ts";

const SOURCE = { systemIdentifier: "7400000000000000001", databaseOid: "5", tableOid: "16385" };
const OTHER = { ...SOURCE, databaseOid: "6" };
const ARCHIVE = "7c0e6f5a-3c0e-4d9a-9f55-0a4f6f0a9b11";
const id = (n: number): string => `${String(n).padStart(12, "0")}-0123456789abcdef`;
const A = id(1);
const B = id(2);

const pin = (name: string) => ({ key: name, versionId: null, etag: null, sha256: hashOf(name), bytes: "10" });
type Sealed = Extract<JournalEvent, { type: "sealed" }>;
const sealed = (segment: string, supersedes: Sealed["supersedes"] = []): Sealed => ({
  type: "sealed",
  segment,
  rule: "default",
  dayFrom: "2026-01-03",
  dayTo: "2026-01-03",
  rows: "60",
  object: pin(`audit_logs/daily/rule=default/dt=2026-01-03/${segment}.parquet`),
  manifest: pin(`_firnline/audit_logs/manifests/${segment}.json`),
  root: hashOf("root"),
  storageClass: "STANDARD",
  supersedes,
});
function packed(segment: string, from: Sealed["supersedes"]): JournalEvent {
  const { supersedes: _, ...rest } = sealed(segment);
  return { ...rest, type: "packed", from };
}
const started: JournalEvent = { type: "run-started", archiveId: ARCHIVE, source: SOURCE, writer: "w" };
const pruned = (segment: string, ...chunks: number[]): JournalEvent => ({
  type: "pruned",
  segment,
  chunks,
  rows: "1",
});

const entryOf = (event: JournalEvent, epoch = "1"): JournalEntry =>
  nextEntry(EMPTY_JOURNAL, {
    entryId: "80647a7b-5861-490d-afcd-fdab9869a659",
    run: "r",
    epoch,
    at: "2026-02-03T02:00:00.000Z",
    event,
  });

/** The history of these events, and what each of them contradicted. */
function read(...events: (JournalEvent | [JournalEvent, epoch: string])[]): {
  history: History;
  problems: (string | null)[];
} {
  const history = emptyHistory();
  const problems = events.map((one) => {
    const [event, epoch] = Array.isArray(one) ? one : [one, "1"];
    return replay(history, entryOf(event, epoch));
  });
  return { history, problems };
}

const chunksOf = (segment: SegmentHistory | undefined): Record<string, number[]> => ({
  pruned: chunkNumbers(segment?.pruned ?? []),
  quarantined: chunkNumbers(segment?.quarantined ?? []),
  superseded: chunkNumbers(segment?.superseded ?? []),
});

const whole = (...events: JournalEvent[]): Map<string, SegmentHistory> => {
  const { history, problems } = read(...events);
  expect(problems.filter((one) => one !== null)).toEqual([]);
  return history.segments;
};

describe("a chunk", () => {
  it("is in no set when it was sealed, and pruned when that was journaled", () => {
    const segments = whole(started, sealed(A), { type: "prune-started", segment: A }, pruned(A, 0, 1));
    expect(segments.get(A)).toMatchObject({
      isPruneStarted: true,
      isTransitioned: false,
      isCollected: false,
    });
    expect(chunksOf(segments.get(A))).toEqual({ pruned: [0, 1], quarantined: [], superseded: [] });
  });

  it("is superseded by a new export, or by none, and quarantined until then", () => {
    const segments = whole(
      sealed(A),
      { type: "quarantined", segment: A, chunks: [1, 2], reason: "" },
      sealed(B, [{ segment: A, chunks: [0, 1] }]),
      { type: "superseded", segment: A, chunks: [3], reason: "" },
    );
    expect(chunksOf(segments.get(A))).toEqual({ pruned: [], quarantined: [2], superseded: [0, 1, 3] });
    expect(chunksOf(segments.get(B))).toEqual({ pruned: [], quarantined: [], superseded: [] });
  });

  it("is pruned from the first in a packed segment, and superseded where it was", () => {
    const segments = whole(sealed(A), pruned(A, 0, 1, 3), packed(B, [{ segment: A, chunks: [0, 3] }]));
    expect(chunksOf(segments.get(A))).toEqual({ pruned: [1], quarantined: [], superseded: [0, 3] });
    expect(chunksOf(segments.get(B))).toEqual({ pruned: [0, 1], quarantined: [], superseded: [] });
  });

  it("is where the table was found to have it", () => {
    const segments = whole(
      sealed(A),
      pruned(A, 0),
      { type: "reconciled", segment: A, pruned: [1], sealed: [0, 2] },
      pruned(A, 0),
    );
    expect(chunksOf(segments.get(A))["pruned"]).toEqual([0, 1]);
    expect(segments.get(A)?.isPruneStarted).toBe(true);
  });
});

describe("a segment", () => {
  it("has the pin and the class that its transition gave it", () => {
    const object = { ...pin("moved"), versionId: "v2" };
    const segments = whole(sealed(A), {
      type: "transitioned",
      segment: A,
      storageClass: "DEEP_ARCHIVE",
      object,
    });
    expect(segments.get(A)).toMatchObject({ object, storageClass: "DEEP_ARCHIVE", isTransitioned: true });
  });

  it("is collected with its object, or with its manifest; other keys are remembered", () => {
    const { history } = read(sealed(A), sealed(B), {
      type: "collected",
      objects: [
        { ...sealed(A).manifest, versionId: null },
        { key: `audit_logs/daily/rule=default/dt=2026-01-03/${id(9)}.parquet`, versionId: null, bytes: "1" },
      ].map(({ key, versionId, bytes }) => ({ key, versionId, bytes })),
    });
    expect([...history.segments.values()].map(({ isCollected }) => isCollected)).toEqual([true, false]);
    expect([...history.collected]).toEqual([`audit_logs/daily/rule=default/dt=2026-01-03/${id(9)}.parquet`]);
  });
});

describe("an archive", () => {
  it("belongs to the source of its runs, until another one adopts it", () => {
    const adopted: JournalEvent = {
      type: "adopted",
      archiveId: ARCHIVE,
      source: OTHER,
      previous: SOURCE,
      writer: "w",
    };
    const { history, problems } = read(started, adopted, { ...started, source: OTHER });
    expect(problems).toEqual([null, null, null]);
    expect(history).toMatchObject({ archiveId: ARCHIVE, source: OTHER });
  });

  it("has the last policy", () => {
    const { history } = read({ type: "policy", policy: { a: 1 } }, { type: "policy", policy: { b: 2 } });
    expect(history.policy).toEqual({ b: 2 });
  });

  it("takes no notice of a run that had lost its lease", () => {
    const { history, problems } = read(
      [started, "1"],
      [sealed(A), "3"],
      [pruned(A, 0), "2"],
      [pruned(B, 0), "2"],
      [pruned(A, 1), "3"],
    );
    expect(problems).toEqual([null, null, null, null, null]);
    expect(chunksOf(history.segments.get(A))["pruned"]).toEqual([1]);
    expect(history.epoch).toBe(3n);
  });
});

describe("what contradicts the entries before is told, and not taken in:", () => {
  const cases: Record<string, [JournalEvent[], RegExp]> = {
    "a segment that is not sealed": [[pruned(A, 0)], /about segment 000000000001-.*, which is not sealed/],
    "a segment that is sealed twice": [[sealed(A), sealed(A)], /was sealed before/],
    "a chunk that is pruned twice": [
      [sealed(A), pruned(A, 0, 1), pruned(A, 1)],
      /prunes 1 chunks .* once more/,
    ],
    "a pruned chunk that is exported anew": [
      [sealed(A), pruned(A, 0), sealed(B, [{ segment: A, chunks: [0, 1] }])],
      /supersedes 2 chunks of .*, 1 of them pruned/,
    ],
    "a hot chunk that is packed": [
      [sealed(A), pruned(A, 0), packed(B, [{ segment: A, chunks: [0, 1] }])],
      /supersedes 2 chunks of .*, 1 of them pruned/,
    ],
    "a superseded chunk that is pruned": [
      [sealed(A), { type: "superseded", segment: A, chunks: [0], reason: "" }, pruned(A, 0)],
      /were superseded before/,
    ],
    "a run of another archive": [
      [started, { ...started, archiveId: ARCHIVE.replace("7", "8") } as JournalEvent],
      /it is of archive/,
    ],
    "a run on another source": [
      [started, { ...started, source: OTHER } as JournalEvent],
      /of another source/,
    ],
    "an adoption from someone else": [
      [started, { type: "adopted", archiveId: ARCHIVE, source: SOURCE, previous: OTHER, writer: "w" }],
      /of another source/,
    ],
  };
  it.each(Object.entries(cases))("%s", (_, [events, problem]) => {
    const { history, problems } = read(...events);
    expect(problems.slice(0, -1).filter((one) => one !== null)).toEqual([]);
    expect(problems.at(-1)).toMatch(problem);
    if (problems.at(-1)?.includes("once more") === true) {
      expect(chunksOf(history.segments.get(A))["pruned"]).toEqual([0, 1]);
    }
  });
});

describe("any run", () => {
  /** Chunks of two segments, each in one state, as the catalog moves them. */
  type State = "sealed" | "pruned" | "quarantined" | "superseded";
  const COUNT = 5;
  const step = fc.record({
    kind: fc.constantFrom("pruned", "quarantined", "superseded", "reconciled" as const),
    segment: fc.constantFrom(A, B),
    chunks: fc.uniqueArray(fc.nat(COUNT - 1), { minLength: 1 }),
  });

  it("leaves each chunk in the set that the last event about it says", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
        const history = emptyHistory();
        const model = new Map<string, State[]>();
        for (const segment of [A, B]) {
          replay(history, entryOf(sealed(segment)));
          model.set(
            segment,
            Array.from({ length: COUNT }, () => "sealed" as const),
          );
        }
        for (const { kind, segment, chunks } of steps) {
          const states = model.get(segment) as State[];
          const from: readonly State[] =
            kind === "pruned"
              ? ["sealed"]
              : kind === "reconciled"
                ? ["sealed", "pruned"]
                : ["sealed", "quarantined"];
          const legal = chunks.filter((chunk) => from.includes(states[chunk] as State));
          if (legal.length === 0) continue;
          const [gone, back] = [
            legal.filter((chunk) => chunk % 2 === 0),
            legal.filter((chunk) => chunk % 2 === 1),
          ];
          const event: JournalEvent =
            kind === "pruned"
              ? pruned(segment, ...legal)
              : kind === "reconciled"
                ? { type: kind, segment, pruned: gone, sealed: back }
                : { type: kind, segment, chunks: legal, reason: "" };
          expect(replay(history, entryOf(event))).toBeNull();
          for (const chunk of legal) {
            states[chunk] = kind === "reconciled" ? (chunk % 2 === 0 ? "pruned" : "sealed") : kind;
          }
        }
        for (const [segment, states] of model) {
          const found = history.segments.get(segment) as SegmentHistory;
          for (const state of ["pruned", "quarantined", "superseded"] as const) {
            const expected = [...states.keys()].filter((chunk) => states[chunk] === state);
            expect(found[state]).toEqual(chunkSet(expected));
          }
          const { state, chunks } = standingAfterRebuild(found, COUNT, {
            mayBeBack: false,
            isPacked: false,
            isWhole: true,
          });
          const shown = new Map(chunks.map((one) => [one.chunk, one.state]));
          // Nothing is unknown where nothing can have left, and nothing can have come back.
          expect(states.map((one, chunk) => shown.get(chunk) ?? one)).toEqual(states);
          expect(state === "superseded").toBe(states.every((one) => one === "superseded"));
          expect(isWhollySuperseded(found, COUNT)).toBe(state === "superseded");
        }
      }),
    );
  });
});

describe("after a rebuild a segment is", () => {
  const prunes: JournalEvent = { type: "prune-started", segment: A };
  const cold: JournalEvent = {
    type: "transitioned",
    segment: A,
    storageClass: "DEEP_ARCHIVE",
    object: pin("x"),
  };
  const tagged: JournalEvent = { type: "tagged", segment: A, storageClass: "DEEP_ARCHIVE" };
  const standing = (
    events: JournalEvent[],
    found: Partial<Parameters<typeof standingAfterRebuild>[2]> = {},
    segment = A,
  ): [string, string] => {
    const history = whole(sealed(A), ...events).get(segment) as SegmentHistory;
    const { state, chunks } = standingAfterRebuild(history, 3, {
      mayBeBack: false,
      isPacked: false,
      isWhole: false,
      ...found,
    });
    return [state, chunks.map((one) => `${one.state}${one.wasPruned ? "!" : ""}`).join(" ")];
  };

  it.each<[string, JournalEvent[], object, [string, string]]>([
    ["sealed, before its first deletion", [], {}, ["sealed", "sealed sealed sealed"]],
    ["to be looked for, after it began", [prunes], {}, ["pruning", "unknown unknown unknown"]],
    ["known in part", [prunes, pruned(A, 1)], {}, ["pruning", "unknown pruned unknown"]],
    ["warm, and keeps no chunks", [prunes, pruned(A, 0, 1, 2)], {}, ["warm", ""]],
    [
      "to be looked for again, if rows may be back",
      [prunes, pruned(A, 0, 1, 2)],
      { mayBeBack: true },
      ["pruning", "unknown! unknown! unknown!"],
    ],
    ["cold, and stays so", [prunes, pruned(A, 0, 1, 2), cold], { mayBeBack: true }, ["cold", ""]],
    ["cooling once it is tagged", [prunes, pruned(A, 0, 1, 2), tagged], { mayBeBack: true }, ["cooling", ""]],
    ["cold once it was moved", [prunes, pruned(A, 0, 1, 2), tagged, cold], {}, ["cold", ""]],
    [
      "warm where it holds several days or tables, whatever came back",
      [prunes, pruned(A, 0, 1, 2)],
      { mayBeBack: true, isPacked: true },
      ["warm", ""],
    ],
    [
      "warm with superseded chunks, which readers must know",
      [prunes, pruned(A, 0, 1), { type: "superseded", segment: A, chunks: [2], reason: "" }],
      {},
      ["warm", "pruned pruned superseded"],
    ],
    [
      "superseded",
      [{ type: "superseded", segment: A, chunks: [0, 1, 2], reason: "" }],
      {},
      ["superseded", ""],
    ],
    [
      "quarantined in part",
      [prunes, { type: "quarantined", segment: A, chunks: [0], reason: "" }, pruned(A, 1, 2)],
      {},
      ["pruning", "quarantined pruned pruned"],
    ],
    [
      "whole, where rows go with their leaf alone",
      [prunes],
      { isWhole: true },
      ["pruning", "sealed sealed sealed"],
    ],
  ])("%s", (_, events, found, expected) => {
    expect(standing(events, found)).toEqual(expected);
  });

  it("a packed one is warm, and looked for like others", () => {
    const events = [prunes, pruned(A, 0, 1, 2), packed(B, [{ segment: A, chunks: [0, 1, 2] }])];
    expect(standing(events, {}, B)).toEqual(["warm", ""]);
    expect(standing(events, { mayBeBack: true }, B)).toEqual(["pruning", "unknown! unknown! unknown!"]);
    expect(standing(events)).toEqual(["superseded", ""]);
  });
});

describe("a manifest", () => {
  const manifest = sampleManifest();
  const { archiveId, pipeline } = manifest;
  const history = (changes: object = {}): SegmentHistory => {
    const { segment, rule, dayFrom, dayTo, rows, root, object } = manifest;
    const event = { ...sealed(segment), rule, dayFrom, dayTo, rows, root, object, ...changes };
    return whole(event).get(segment) as SegmentHistory;
  };

  it("agrees with the journal, whatever version a transition gave its object", () => {
    expect(manifestProblem(manifest, { archiveId, pipeline }, history())).toBeNull();
    const moved = history({ object: { ...manifest.object, versionId: "v9", etag: "e" } });
    expect(manifestProblem(manifest, { archiveId, pipeline }, moved)).toBeNull();
  });

  it.each([
    ["rule", { rule: "other" }],
    ["rows", { rows: "1" }],
    ["root", { root: hashOf("other") }],
    ["dayTo", { dayTo: "2026-02-01" }],
    ["object", { object: { ...manifest.object, sha256: hashOf("other") } }],
  ])("is told apart by its %s", (name, changes) => {
    expect(manifestProblem(manifest, { archiveId, pipeline }, history(changes))).toMatch(`its ${name} is `);
  });

  it("is told apart by its archive and its pipeline", () => {
    expect(manifestProblem(manifest, { archiveId: ARCHIVE.replace("7", "9"), pipeline }, history())).toMatch(
      "its archiveId is",
    );
    expect(manifestProblem(manifest, { archiveId, pipeline: "other" }, history())).toMatch("its pipeline is");
  });
});

/** The life of a segment: the whole table of states and events, and what the catalog's UPDATE makes of it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  CHUNK_STATES,
  nextSegmentState,
  READABLE_STATES,
  SEGMENT_EVENTS,
  SEGMENT_STATES,
  type SegmentEvent,
  type SegmentState,
  statesBefore,
} from "../../../src/segment/state.ts";

/** What the event leads to, or null when the state machine throws. */
function outcome(state: SegmentState, event: SegmentEvent): SegmentState | null {
  try {
    return nextSegmentState(state, event, "segment s");
  } catch (error) {
    expect((error as Error).message).toMatch(
      new RegExp(`^E_INTERNAL segment s: event ${event} in state ${state}\\. `),
    );
    return null;
  }
}

/** Written down a second time, from DESIGN: all that is not in here must throw. */
const LEGAL: readonly (readonly [SegmentState, SegmentEvent, SegmentState])[] = [
  ["exporting", "upload-recorded", "uploaded"],
  ["exporting", "given-up", "abandoned"],
  ["uploaded", "seal-journaled", "sealed"],
  ["uploaded", "given-up", "abandoned"],
  ["sealed", "prune-journaled", "pruning"],
  ["uploaded", "pack-journaled", "warm"],
  ["sealed", "wholly-superseded", "superseded"],
  ["pruning", "wholly-pruned", "warm"],
  ["pruning", "wholly-superseded", "superseded"],
  ["warm", "wholly-superseded", "superseded"],
  ["warm", "class-requested", "cooling"],
  ["cooling", "transition-journaled", "cold"],
  ["warm", "expiry-journaled", "expiring"],
  ["cooling", "expiry-journaled", "expiring"],
  ["cold", "expiry-journaled", "expiring"],
  ["expiring", "wholly-removed", "expired"],
];

describe("a segment", () => {
  it("has the truth table that is written down", async () => {
    const header = ["state", ...SEGMENT_EVENTS];
    const rows = SEGMENT_STATES.map((state) => [
      state,
      ...SEGMENT_EVENTS.map((event) => outcome(state, event) ?? "-"),
    ]);
    const lines = [header, ...rows].map((cells) =>
      cells
        .map((cell) => cell.padEnd(21))
        .join("")
        .trimEnd(),
    );
    await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot("../../golden/segment-states.txt");
  });

  it.each(SEGMENT_STATES.flatMap((state) => SEGMENT_EVENTS.map((event) => [state, event] as const)))(
    "in state %s, at event %s, moves as designed or throws",
    (state, event) => {
      const legal = LEGAL.find(([from, at]) => from === state && at === event);
      expect(outcome(state, event)).toBe(legal?.[2] ?? null);
    },
  );

  it("is never moved by an event that came twice", () => {
    for (const [from, event] of LEGAL) {
      expect(outcome(outcome(from, event) as SegmentState, event)).toBeNull();
    }
  });

  it("ends as expired, abandoned or superseded, and nowhere else, whatever happens", () => {
    const ends = SEGMENT_STATES.filter((state) => SEGMENT_EVENTS.every((event) => !outcome(state, event)));
    expect(ends).toEqual(["expired", "abandoned", "superseded"]);
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...SEGMENT_EVENTS), { maxLength: 40 }), (events) => {
        const path: SegmentState[] = ["exporting"];
        for (const event of events) {
          const next = outcome(path.at(-1) as SegmentState, event);
          if (next !== null) path.push(next);
        }
        // No state comes twice: a segment only goes forward.
        expect(new Set(path).size).toBe(path.length);
      }),
    );
  });

  it("cannot be given up once its seal is journaled: its rows may be gone", () => {
    expect(statesBefore("given-up")).toEqual(["exporting", "uploaded"]);
  });

  it("is read from the archive only after prune-started was journaled, and until it is superseded or expires", () => {
    const readable = new Set<SegmentState>(["pruning"]);
    for (const state of readable) {
      for (const event of SEGMENT_EVENTS) {
        const next = outcome(state, event);
        if (next !== null && next !== "superseded" && next !== "expiring") readable.add(next);
      }
    }
    expect(new Set(READABLE_STATES)).toEqual(readable);
  });
});

describe("the states before an event", () => {
  it.each(SEGMENT_EVENTS)("%s are exactly those where it is legal", (event) => {
    expect(statesBefore(event)).toEqual(LEGAL.filter(([, at]) => at === event).map(([from]) => from));
  });

  it.each(SEGMENT_EVENTS)("%s all lead to one state, which one UPDATE can write", (event) => {
    expect(new Set(statesBefore(event).map((state) => outcome(state, event))).size).toBe(1);
  });
});

describe("the control schema", () => {
  it("allows the very states that the code knows", async () => {
    const { readMigrations } = await import("../../../src/catalog/postgres/migrate.ts");
    const sql = readMigrations()
      .map((migration) => migration.sql)
      .join("\n");
    const allowed = [...sql.matchAll(/CHECK \(state IN \(\s*(.*?)\)\)/gs)].map(([, list]) =>
      (list as string).split(/,\s*/).map((quoted) => quoted.slice(1, -1)),
    );
    expect(allowed).toContainEqual([...SEGMENT_STATES]);
    expect(allowed).toContainEqual([...CHUNK_STATES]);
  });
});

/**
 * The life of a segment and of a chunk.
 *
 *   exporting ──> uploaded ──> sealed ──> pruning ──> warm ──> cooling ──> cold
 *       │             │  │        │          │         ▲ │ │      │          │
 *       │             │  └────────┼──────────┼─packed──┘ │ └──────┴──────────┴──> expiring ──> expired
 *       └─────────────┴──> aban-  └──────────┴───────────┴──> superseded
 *                          doned
 *
 * Both tables are complete Records: a state or an event without an answer does not compile. `null` means that the
 * event cannot happen in that state; meeting it is a broken invariant, not a case to handle.
 */
import { invariant } from "../errors.ts";

export const SEGMENT_STATES = [
  "exporting",
  "uploaded",
  "sealed",
  "pruning",
  "warm",
  "cooling",
  "cold",
  "expiring",
  "expired",
  "abandoned",
  "superseded",
] as const;
export type SegmentState = (typeof SEGMENT_STATES)[number];

/**
 * `wholly-pruned` comes with the last chunk's deletion, in the same transaction (I4). A segment may have superseded
 * chunks besides its pruned ones then. `pack-journaled`: its chunks were pruned in other segments before.
 */
export const SEGMENT_EVENTS = [
  "upload-recorded",
  "seal-journaled",
  "prune-journaled",
  "wholly-pruned",
  "wholly-superseded",
  "pack-journaled",
  "class-requested",
  "transition-journaled",
  "expiry-journaled",
  "wholly-removed",
  "given-up",
] as const;
export type SegmentEvent = (typeof SEGMENT_EVENTS)[number];

type Transitions = Readonly<Record<SegmentState, Readonly<Record<SegmentEvent, SegmentState | null>>>>;

const NEVER = {
  "upload-recorded": null,
  "seal-journaled": null,
  "prune-journaled": null,
  "wholly-pruned": null,
  "wholly-superseded": null,
  "pack-journaled": null,
  "class-requested": null,
  "transition-journaled": null,
  "expiry-journaled": null,
  "wholly-removed": null,
  "given-up": null,
} as const;

export const SEGMENT_TRANSITIONS: Transitions = {
  exporting: { ...NEVER, "upload-recorded": "uploaded", "given-up": "abandoned" },
  // An upload that fails its seal is given up: nothing refers to it and its rows are still hot.
  uploaded: { ...NEVER, "seal-journaled": "sealed", "pack-journaled": "warm", "given-up": "abandoned" },
  sealed: { ...NEVER, "prune-journaled": "pruning", "wholly-superseded": "superseded" },
  pruning: { ...NEVER, "wholly-pruned": "warm", "wholly-superseded": "superseded" },
  // Its pruned chunks were packed into another segment.
  warm: {
    ...NEVER,
    "class-requested": "cooling",
    "wholly-superseded": "superseded",
    "expiry-journaled": "expiring",
  },
  cooling: { ...NEVER, "transition-journaled": "cold", "expiry-journaled": "expiring" },
  cold: { ...NEVER, "expiry-journaled": "expiring" },
  // The journal says that it goes: from here on there is no way back.
  expiring: { ...NEVER, "wholly-removed": "expired" },
  expired: NEVER,
  abandoned: NEVER,
  superseded: NEVER,
};

export function nextSegmentState(state: SegmentState, event: SegmentEvent, subject: string): SegmentState {
  const next = SEGMENT_TRANSITIONS[state][event];
  invariant(next !== null, subject, `event ${event} in state ${state}`);
  return next;
}

/** States from which `event` is legal; the catalog's UPDATE names them, so that a stale writer changes nothing (I6). */
export function statesBefore(event: SegmentEvent): SegmentState[] {
  return SEGMENT_STATES.filter((state) => SEGMENT_TRANSITIONS[state][event] !== null);
}

/**
 *   exported ──> sealed ──> pruned ──────> superseded (packed into another segment)
 *                  │  ▲
 *                  │  └── unknown ──> pruned | quarantined
 *                  ├──> superseded (exported anew)
 *                  └──> quarantined ──> superseded (exported anew when a person asks for it)
 *
 * `unknown` comes from a rebuild of the catalog: the next run compares the table with the archive.
 */
export const CHUNK_STATES = ["exported", "sealed", "pruned", "superseded", "quarantined", "unknown"] as const;
export type ChunkState = (typeof CHUNK_STATES)[number];

/** Chunks whose rows are still in the table, or may be. */
export const OPEN_CHUNKS: readonly ChunkState[] = ["exported", "sealed", "quarantined", "unknown"];
/** Chunks that a new export of their rows may replace. Never a pruned one: its rows are in the archive alone (I2). */
export const REPLACEABLE_CHUNKS: readonly ChunkState[] = ["sealed", "quarantined"];

/** Segments whose rows may be read from the archive: their seal is journaled. */
export const READABLE_STATES: readonly SegmentState[] = ["pruning", "warm", "cooling", "cold"];

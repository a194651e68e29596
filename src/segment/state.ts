/**
 * The life of a segment and of a chunk.
 *
 *   exporting ──> uploaded ──> sealed ──> pruning ──> warm ──> cooling ──> cold
 *       │             │
 *       └─────────────┴──> abandoned
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
  "abandoned",
] as const;
export type SegmentState = (typeof SEGMENT_STATES)[number];

/** `wholly-pruned` comes with the last chunk's deletion, in the same transaction (I4). */
export const SEGMENT_EVENTS = [
  "upload-recorded",
  "seal-journaled",
  "prune-journaled",
  "wholly-pruned",
  "class-requested",
  "transition-journaled",
  "given-up",
] as const;
export type SegmentEvent = (typeof SEGMENT_EVENTS)[number];

type Transitions = Readonly<Record<SegmentState, Readonly<Record<SegmentEvent, SegmentState | null>>>>;

const NEVER = {
  "upload-recorded": null,
  "seal-journaled": null,
  "prune-journaled": null,
  "wholly-pruned": null,
  "class-requested": null,
  "transition-journaled": null,
  "given-up": null,
} as const;

export const SEGMENT_TRANSITIONS: Transitions = {
  exporting: { ...NEVER, "upload-recorded": "uploaded", "given-up": "abandoned" },
  // An upload that fails its seal is given up: nothing refers to it and its rows are still hot.
  uploaded: { ...NEVER, "seal-journaled": "sealed", "given-up": "abandoned" },
  sealed: { ...NEVER, "prune-journaled": "pruning" },
  pruning: { ...NEVER, "wholly-pruned": "warm" },
  warm: { ...NEVER, "class-requested": "cooling" },
  cooling: { ...NEVER, "transition-journaled": "cold" },
  cold: NEVER,
  abandoned: NEVER,
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

export const CHUNK_STATES = ["exported", "sealed", "pruned"] as const;
export type ChunkState = (typeof CHUNK_STATES)[number];

/** Segments whose rows may be read from the archive: their seal is journaled. */
export const READABLE_STATES: readonly SegmentState[] = ["pruning", "warm", "cooling", "cold"];

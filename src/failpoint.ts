/**
 * Places where a test can stop the flow. `FIRNLINE_FAILPOINT=export.uploaded:kill` ends the process there with SIGKILL,
 * `error` throws, `pause` stops it (SIGSTOP) until somebody continues it; `@3` waits for the third time. Unset, the
 * call does nothing.
 */
import { FirnlineError } from "./errors.ts";

export const FAILPOINTS = [
  "journal.enqueued",
  "journal.created",
  "journal.published",
  "export.reserved",
  "export.uploading",
  "export.uploaded",
  "export.recorded",
  "seal.read",
  "seal.manifest",
  "seal.sealed",
  "prune.started",
  "prune.deleted",
  "prune.committed",
  "prune.published",
  "drop.listed",
  "drop.detached",
  "drop.judged",
  "drop.dropped",
  "drop.committed",
  "drop.published",
  "replace.recorded",
  "replace.sealed",
  "rewrite.uploaded",
  "rewrite.sealed",
  "pack.uploaded",
  "pack.sealed",
  "delete.deleted",
  "delete.committed",
  "transition.requested",
  "transition.tagged",
  "transition.moved",
  "transition.journaled",
  "transition.removed",
  "expire.intended",
  "expire.deleted",
  "expire.journaled",
  "restore.asked",
  "restore.requested",
  "reconcile.judged",
  "adopt.rebuilt",
  "collect.journaled",
  "collect.deleted",
] as const;
export type FailpointName = (typeof FAILPOINTS)[number];

export const FAILPOINT_ACTIONS = ["kill", "error", "pause"] as const;
export type FailpointAction = (typeof FAILPOINT_ACTIONS)[number];

export type Failpoint = (name: FailpointName) => void;

export interface FailpointSetting {
  readonly name: FailpointName;
  readonly action: FailpointAction;
  /** Fires from this hit on, counted from 1. */
  readonly hit: number;
}

export const noFailpoint: Failpoint = () => {};

/** Reads `stage.point:action[@n]`; throws `E_INPUT` for a name that no code passes: it would never fire. */
export function parseFailpoint(text: string): FailpointSetting {
  const match = /^([a-z]+\.[a-z]+):([a-z]+)(?:@([1-9]\d{0,5}))?$/.exec(text);
  const name = FAILPOINTS.find((known) => known === match?.[1]);
  const action = FAILPOINT_ACTIONS.find((known) => known === match?.[2]);
  if (name === undefined || action === undefined) {
    throw new FirnlineError({
      code: "E_INPUT",
      subject: "FIRNLINE_FAILPOINT",
      problem: `"${text}" is not stage.point:action`,
      hint: `${knownPoints(text)}; actions are ${FAILPOINT_ACTIONS.join(", ")}`,
    });
  }
  return { name, action, hit: Number(match?.[3] ?? 1) };
}

/** Those of the stage that is named, or the stages. */
function knownPoints(text: string): string {
  const stage = text.split(".")[0] ?? "";
  const points = FAILPOINTS.filter((name) => name.startsWith(`${stage}.`));
  if (points.length > 0) return `Points of ${stage} are ${points.join(", ")}`;
  return `Stages are ${[...new Set(FAILPOINTS.map((name) => name.split(".")[0]))].join(", ")}`;
}

export function failpointFrom(
  setting: FailpointSetting,
  signal: (name: "SIGKILL" | "SIGSTOP") => void,
): Failpoint {
  let hits = 0;
  return (name) => {
    if (name !== setting.name) return;
    hits += 1;
    if (hits < setting.hit) return;
    if (setting.action === "kill") signal("SIGKILL");
    else if (setting.action === "pause") {
      if (hits === setting.hit) signal("SIGSTOP");
    } else {
      throw new FirnlineError({
        code: "E_INTERNAL",
        subject: `failpoint ${name}`,
        problem: "it was set to fail here",
        hint: "Unset FIRNLINE_FAILPOINT",
      });
    }
  };
}

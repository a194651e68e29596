/**
 * The sidecar `.NAME.firnline.json` beside an object keeps what a file system has no place for: storage
 * class, tags, restored copy. It is hidden, so that engines that glob `*.parquet` or skip names that begin
 * with a dot pass it by. No sidecar means STANDARD and no tags. Unlike objects it is replaced, by a durable
 * rename.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import path from "node:path";

import { FirnlineError } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import { newState, type ObjectState, type RestoredCopy } from "../object-state.ts";
import type { Where } from "../refusals.ts";
import { unlessMissing } from "./io-failure.ts";

const FORMAT = 1;
const SIDECAR_BYTES_MAX = 1 << 16;

/** The sidecar of an object's file. */
export function sidecarOf(file: string): string {
  return path.join(path.dirname(file), `.${path.basename(file)}.firnline.json`);
}

export function encodeSidecar(state: ObjectState): Uint8Array {
  const { storageClass, tags, restored } = state;
  return new TextEncoder().encode(`${JSON.stringify({ format: FORMAT, storageClass, tags, restored })}\n`);
}

/**
 * Reads the state beside `file`. Throws `E_ARCHIVE` where the sidecar is not one that this version has
 * written.
 */
export async function readSidecar(where: Where, file: string): Promise<ObjectState> {
  const sidecar = sidecarOf(file);
  const handle = await unlessMissing(
    open(sidecar, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK),
  );
  if (handle === null) return newState();
  await using _closing = handle;
  const stats = await handle.stat();
  if (!stats.isFile() || stats.size > SIDECAR_BYTES_MAX) throw damaged(where, sidecar, "it is no small file");
  return decodeSidecar(where, sidecar, await handle.readFile("utf8"));
}

function decodeSidecar(where: Where, sidecar: string, text: string): ObjectState {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw damaged(where, sidecar, "it is not JSON", error);
  }
  if (!isRecord(parsed)) throw damaged(where, sidecar, "it is not an object");
  const { format, storageClass, tags, restored } = parsed;
  if (format !== FORMAT)
    throw damaged(where, sidecar, `its format is ${JSON.stringify(format)}, not ${FORMAT}`);
  if (typeof storageClass !== "string") throw damaged(where, sidecar, "it has no storageClass");
  if (!isTags(tags)) throw damaged(where, sidecar, "its tags are not texts");
  if (!isRestored(restored)) throw damaged(where, sidecar, "its restored copy has no instants");
  return { ...newState(storageClass), tags, restored };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTags(value: unknown): value is Record<string, string> {
  return isRecord(value) && Object.values(value).every((tag) => typeof tag === "string");
}

function isRestored(value: unknown): value is RestoredCopy | null {
  if (value === null) return true;
  return isRecord(value) && isInstant(value["readyAt"]) && isInstant(value["until"]);
}

function isInstant(value: unknown): value is EpochMs {
  return Number.isSafeInteger(value);
}

function damaged({ op, key }: Where, sidecar: string, found: string, cause?: unknown): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: `the sidecar ${sidecar} cannot be read: ${found}`,
    hint: "If a newer Firnline wrote it, use that; else remove it (the object then is STANDARD, untagged)",
    op,
    key,
    cause,
  });
}

/** Folders for tests of the file archive, and looks behind its back. */
import { randomBytes } from "node:crypto";
import { readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, readdir, realpath } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

import { openFileArchive } from "../../../src/archive/file/file-archive.ts";
import type { Archive } from "../../../src/archive/port.ts";
import type { EpochMs } from "../../../src/rows/day.ts";
import { HOUR_MS } from "./harness.ts";

export const START = Date.UTC(2026, 0, 3, 10, 30);
export const onLinux = process.platform === "linux";

/** A fresh folder, without links in its path. */
export async function temporaryFolder(): Promise<string> {
  return await realpath(await mkdtemp(path.join(tmpdir(), "firnline-archive-")));
}

/** Temporary files of an archive. */
export async function leftoversOf(root: string): Promise<string[]> {
  return await readdir(path.join(root, ".tmp")).catch(() => []);
}

/** File descriptors of this process on files below `root`. */
export function openHandlesBelow(root: string): number {
  if (!onLinux) return 0;
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return ""; // the descriptor of the listing itself
    }
  });
  return targets.filter((target) => target.startsWith(root)).length;
}

/** An archive whose clock stands still at `START`. */
export function openAt(root: string): Archive {
  return openFileArchive({
    root,
    now: () => START as EpochMs,
    random: randomBytes,
    restoreDelayMs: HOUR_MS,
  });
}

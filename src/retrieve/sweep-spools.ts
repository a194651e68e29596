/** Removes the spools of retrievals that were killed: they hold rows of an audit log. */
import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { EpochMs } from "../rows/day.ts";
import { SPOOL_PREFIX } from "./spool.ts";

/**
 * Folders of this user that nothing was written to since `olderThan`. A retrieval that still reads one has its file open,
 * and reads on.
 */
export async function sweepSpools(temporary: string, olderThan: EpochMs): Promise<number> {
  const names = await readdir(temporary).catch(() => []);
  let removed = 0;
  for (const name of names) {
    if (!name.startsWith(SPOOL_PREFIX)) continue;
    const folder = join(temporary, name);
    const stats = await lstat(folder).catch(() => null);
    // Names in a folder that is everybody's can be anybody's.
    if (stats === null || !stats.isDirectory() || stats.uid !== process.getuid?.()) continue;
    if ((await newest(folder, stats.mtimeMs)) >= olderThan) continue;
    await rm(folder, { recursive: true, force: true });
    removed += 1;
  }
  return removed;
}

async function newest(folder: string, mtimeMs: number): Promise<number> {
  let last = mtimeMs;
  for (const name of await readdir(folder).catch(() => [])) {
    const stats = await lstat(join(folder, name)).catch(() => null);
    last = Math.max(last, stats?.mtimeMs ?? 0);
  }
  return last;
}

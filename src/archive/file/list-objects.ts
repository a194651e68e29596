/** Walks the archive's folder in the order of keys. Memory is bounded by the largest single folder. */
import type { Dirent } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import path from "node:path";

import type { EpochMs } from "../../rows/day.ts";
import { isKeySegment, isObjectKey } from "../object-key.ts";
import type { ListedObject } from "../port.ts";
import type { Where } from "../refusals.ts";
import { type ArchiveFolder, notPlain } from "./archive-folder.ts";
import { guarded, unlessMissing } from "./io-failure.ts";

/** Files asked about at once. */
const STATS_AT_ONCE = 32;

/**
 * Objects whose keys begin with `prefix`, in ascending byte order. What has no legal name is not ours and is
 * passed over (`lost+found`, sidecars, `.tmp`); a link or device with a legal name is `E_ARCHIVE`, because a
 * listing that leaves out what lies behind it would be silently partial.
 */
export async function* listObjects(
  folder: ArchiveFolder,
  prefix: string,
  op: string,
): AsyncGenerator<ListedObject, void, undefined> {
  const where: Where = { op, key: prefix === "" ? folder.root : prefix };
  const base = prefix.slice(0, prefix.lastIndexOf("/") + 1);
  const isThere = await guarded(where, () => folder.isFolder(where, base === "" ? "." : base.slice(0, -1)));
  if (isThere) yield* walk(folder, base, prefix.slice(base.length), where);
}

/** `base` is empty or ends with a slash; only names that begin with `namePrefix` count in it. */
async function* walk(
  folder: ArchiveFolder,
  base: string,
  namePrefix: string,
  where: Where,
): AsyncGenerator<ListedObject, void, undefined> {
  const here = folder.pathOf(base);
  const entries = (await guarded(where, () => unlessMissing(readdir(here, { withFileTypes: true })))) ?? [];
  const ours = entries
    .filter(({ name }) => name.startsWith(namePrefix) && isKeySegment(name))
    // A folder sorts with its slash: `a.x` < `a/b` < `a0`.
    .map((entry) => ({ entry, order: entry.isDirectory() ? `${entry.name}/` : entry.name }))
    .sort((a, b) => (a.order < b.order ? -1 : 1));

  let files: string[] = [];
  for (const { entry } of ours) {
    if (entry.isFile()) files.push(entry.name);
    else assertFolder(entry, here, where);
    if (files.length < STATS_AT_ONCE && entry.isFile()) continue;
    yield* listed(folder, base, files, where);
    files = [];
    if (entry.isDirectory()) yield* walk(folder, `${base}${entry.name}/`, "", where);
  }
  yield* listed(folder, base, files, where);
}

function assertFolder(entry: Dirent, here: string, where: Where): void {
  if (!entry.isDirectory()) throw notPlain(where, path.join(here, entry.name));
}

async function* listed(
  folder: ArchiveFolder,
  base: string,
  names: readonly string[],
  where: Where,
): AsyncGenerator<ListedObject, void, undefined> {
  const keys = names.map((name) => base + name).filter(isObjectKey);
  const stats = await guarded(where, () =>
    Promise.all(keys.map((key) => unlessMissing(lstat(folder.pathOf(key), { bigint: true })))),
  );
  for (const [index, key] of keys.entries()) {
    const found = stats[index];
    if (!found?.isFile()) continue; // deleted since the folder was read
    yield { key, versionId: null, bytes: found.size, modifiedAt: modifiedAtOf(found.mtimeNs) };
  }
}

/**
 * `utimes` takes seconds as a double, so that the nanoseconds can be a little off the millisecond that was
 * set.
 */
function modifiedAtOf(mtimeNs: bigint): EpochMs {
  return Number((mtimeNs + 500_000n) / 1_000_000n) as EpochMs;
}

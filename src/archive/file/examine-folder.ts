/** Whether an archive's folder takes objects. */
import { access, constants, opendir, stat, statfs, unlink } from "node:fs/promises";
import path from "node:path";
import { isFirnlineError } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import type { ArchiveExamination } from "../port.ts";
import type { Where } from "../refusals.ts";
import { guarded, unlessMissing } from "./io-failure.ts";
import type { TemporaryFiles } from "./temporary-files.ts";

/**
 * Goes the way of a create as far as a second temporary name, and removes both: permissions, quotas, read-only mounts
 * and file systems without hard links show only so. A folder that is not there yet is made by the first create, if the
 * one above it allows that.
 */
export async function examineFolder(
  where: Where,
  root: string,
  temporaries: TemporaryFiles,
  now: EpochMs,
): Promise<ArchiveExamination> {
  try {
    return await guarded(where, async () => {
      const folder = await nearestFolder(root);
      if (folder === root) await tryOut(where, temporaries, now);
      else await access(folder, constants.W_OK | constants.X_OK);
      const { bavail, bsize } = await statfs(folder, { bigint: true });
      return { findings: [], advice: [], bytesFree: bavail * bsize };
    });
  } catch (error) {
    if (!isFirnlineError(error)) throw error;
    return { findings: [error], advice: [], bytesFree: null };
  }
}

async function nearestFolder(root: string): Promise<string> {
  for (let folder = root; ; folder = path.dirname(folder)) {
    if ((await unlessMissing(stat(folder))) === null) continue;
    await using _opened = await opendir(folder); // refuses a file, in the system's own words
    return folder;
  }
}

async function tryOut(where: Where, temporaries: TemporaryFiles, now: EpochMs): Promise<void> {
  await using probe = await temporaries.create(where, 0o600);
  await probe.write(new Uint8Array(1));
  await probe.seal(now);
  const second = `${probe.path}-linked`;
  await probe.linkTo(where, second);
  await unlink(second);
}

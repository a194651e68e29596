/** A small disk that can be filled: a tmpfs, which takes root on Linux. */
import { execFile } from "node:child_process";
import { rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const FILLER = "filler";
const BLOCK = 4096;

export interface SmallDisk extends AsyncDisposable {
  readonly folder: string;
  /** Leaves so many bytes free. */
  fill(bytesLeft?: number): Promise<void>;
  /** Gives back what `fill` took. */
  free(): Promise<void>;
}

/** At an empty folder; null where this process may not mount one. Put nothing that matters on it: it is memory. */
export async function mountSmallDisk(folder: string, mebibytes: number): Promise<SmallDisk | null> {
  const options = ["-t", "tmpfs", "-o", `size=${mebibytes}m,mode=1777`, "tmpfs", folder];
  const isMounted = await promisify(execFile)("mount", options).then(
    () => true,
    () => false,
  );
  if (!isMounted) return null;
  return {
    folder,
    async fill(bytesLeft = 0) {
      const { bavail, bsize } = await statfs(folder);
      const bytes = Math.max(0, bavail * bsize - bytesLeft);
      await writeFile(join(folder, FILLER), Buffer.alloc(bytes - (bytes % BLOCK)));
    },
    free: async () => await rm(join(folder, FILLER), { force: true }),
    async [Symbol.asyncDispose]() {
      // Lazily: a process that is about to end may still have its working directory there.
      await promisify(execFile)("umount", ["--lazy", folder]);
    },
  };
}

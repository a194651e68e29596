/** Copies of a server's data directory, as a snapshot of the disk or a base backup is one. The server must be down. */
import { chown, cp, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

/** Puts a copy in the place of `to`, whether or not something is there. */
export async function copyDataDirectory(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await cp(from, to, { recursive: true, preserveTimestamps: true });
  // The server's user may not be us.
  const { uid, gid } = await stat(from);
  for (const name of [".", ...(await readdir(to, { recursive: true }))])
    await chown(join(to, name), uid, gid);
}

/** Damage done to the files of an archive, by hand, disk or a lost lifecycle filter. */
import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Scenario } from "./scenario.ts";

/** Paths of the archive's files that end so, in order, below the archive's folder. Temporary files are left out. */
export async function listArchive(scenario: Scenario, ending = ""): Promise<string[]> {
  const entries = await readdir(scenario.archive, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending) && !entry.name.startsWith("."))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.includes("/.tmp/"))
    .sort();
}

/** Contents of all files of the archive, sidecars too: nothing may differ where nothing is to be touched. */
export async function archiveContents(scenario: Scenario): Promise<Record<string, string>> {
  const entries = await readdir(scenario.archive, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    await Promise.all(files.sort().map(async (file) => [file, await readFile(file, "base64")] as const)),
  );
}

async function overwrite(path: string, bytes: Uint8Array): Promise<void> {
  await chmod(path, 0o644);
  await writeFile(path, bytes);
}

export type Damage = (path: string) => Promise<void>;

export const DAMAGES: Readonly<Record<string, Damage>> = {
  removed: async (path) => await rm(path),
  truncated: async (path) => await overwrite(path, (await readFile(path)).subarray(0, -7)),
  "longer than it was": async (path) =>
    await overwrite(path, Buffer.concat([await readFile(path), Buffer.from("PAR1")])),
  emptied: async (path) => await overwrite(path, Buffer.alloc(0)),
};

/** Flips one bit at a place, which is a fraction of the file's length. */
export function flipped(place: number): Damage {
  return async (path) => {
    const bytes = await readFile(path);
    const at = Math.min(bytes.length - 1, Math.floor(bytes.length * place));
    bytes[at] = (bytes[at] as number) ^ 0x10;
    await overwrite(path, bytes);
  };
}

/** Bits of pages, of the footer, and of the trailer. */
export const FLIPS = [0.03, 0.2, 0.4, 0.6, 0.75, 0.9, 0.97, 1];

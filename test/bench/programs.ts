/** Programs that are measured, or measure, and that no package brings. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The Debian package that each is in. */
const PACKAGES = { psql: "postgresql-client", pgbench: "postgresql-contrib", zstd: "zstd" } as const;
export type Program = keyof typeof PACKAGES;

const found = new Map<Program, Promise<void>>();

/** Throws where it is missing. On Debian, as root and with `FIRNLINE_TEST_INSTALL=1`, installs it first. */
export async function requireProgram(program: Program): Promise<void> {
  let looking = found.get(program);
  if (looking === undefined) found.set(program, (looking = find(program)));
  await looking;
}

async function find(program: Program): Promise<void> {
  if (await isThere(program)) return;
  const debian = PACKAGES[program];
  if (process.env["FIRNLINE_TEST_INSTALL"] === "1" && process.getuid?.() === 0) {
    await run("apt-get", ["install", "-y", "--no-install-recommends", debian]);
    if (await isThere(program)) return;
  }
  throw new Error(
    `${program} is missing: install ${debian}, or set FIRNLINE_TEST_INSTALL=1 as root on Debian to have it done`,
  );
}

async function isThere(program: Program): Promise<boolean> {
  try {
    await run(program, ["--version"]);
    return true;
  } catch {
    return false;
  }
}

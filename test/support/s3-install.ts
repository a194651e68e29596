/**
 * Installs the S3 servers on a Debian machine, as root, where `FIRNLINE_TEST_INSTALL=1` allows it. Debian 12 has no moto:
 * the package of Debian 13 is unpacked beside the system and runs on Debian 12's own Python libraries.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./s3-daemon.ts";
import type { S3ServerName } from "./s3-server.ts";

const HOME = "/opt/firnline-test";
/** Where moto is, if the system has no package of it. */
export const UNPACKED_MOTO = join(HOME, "moto");
const CEPH = ["ceph-common", "ceph-mon", "ceph-osd", "radosgw"];
const MOTO_NEEDS = [
  "python3-boto3",
  "python3-cryptography",
  "python3-dateutil",
  "python3-flask",
  "python3-flask-cors",
  "python3-jinja2",
  "python3-responses",
  "python3-werkzeug",
  "python3-xmltodict",
];

/** Why nothing can be installed here; null where it can. */
export function installProblem(): string | null {
  if (process.env["FIRNLINE_TEST_INSTALL"] !== "1") return "set FIRNLINE_TEST_INSTALL=1 to install it";
  if (process.getuid?.() !== 0) return "only root can install it";
  return existsSync("/etc/debian_version") ? null : "only a Debian system can install it";
}

export async function install(name: S3ServerName): Promise<void> {
  await apt("update", "-q");
  if (name === "ceph") return await installPackages(CEPH);
  if (/^ {2}Candidate: [^(]/m.test(await run("apt-cache", ["policy", "python3-moto"]))) {
    return await installPackages(["python3-moto"]);
  }
  await installPackages(MOTO_NEEDS);
  await unpackMoto();
}

async function installPackages(names: readonly string[]): Promise<void> {
  await apt("install", "-y", "-q", "--no-install-recommends", ...names);
}

/** One at a time on this machine, whoever else is testing: apt's own lock makes the second one fail. */
async function apt(...args: string[]): Promise<void> {
  await run("flock", [join(tmpdir(), "firnline-test-install.lock"), "apt-get", ...args], {
    DEBIAN_FRONTEND: "noninteractive",
  });
}

/** With lists and cache of its own, so that the system never takes Debian 13's packages for its own. */
async function unpackMoto(): Promise<void> {
  const lists = join(HOME, "lists");
  await rm(UNPACKED_MOTO, { recursive: true, force: true });
  await mkdir(join(lists, "partial"), { recursive: true });
  await writeFile(
    join(HOME, "trixie.list"),
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${await mirror()} trixie main\n`,
  );
  const apart = {
    "Dir::Etc::sourcelist": join(HOME, "trixie.list"),
    "Dir::Etc::sourceparts": "-",
    "Dir::State::lists": lists,
    "Dir::Cache": join(HOME, "cache"),
  };
  const options = Object.entries(apart).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const folder = join(HOME, "packages");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  await apt(...options, "update", "-q");
  await run("sh", [
    "-c",
    'cd "$0" && exec apt-get "$@"',
    folder,
    ...options,
    "download",
    "-q",
    "python3-moto",
  ]);
  const [found] = await readdir(folder);
  if (found === undefined) throw new Error("apt-get downloaded no python3-moto");
  // In two steps: a folder that is there is a whole one.
  await rm(`${UNPACKED_MOTO}.new`, { recursive: true, force: true });
  await run("dpkg-deb", ["-x", join(folder, found), `${UNPACKED_MOTO}.new`]);
  await run("mv", [`${UNPACKED_MOTO}.new`, UNPACKED_MOTO]);
}

/** The mirror that this machine uses already. */
async function mirror(): Promise<string> {
  const sources = await readFile("/etc/apt/sources.list.d/debian.sources", "utf8").catch(() => "");
  const list = await readFile("/etc/apt/sources.list", "utf8").catch(() => "");
  const found = /^URIs: *(\S+)/m.exec(sources)?.[1] ?? /^deb (?:\[.*?\] )?(\S+)/m.exec(list)?.[1];
  if (found === undefined) throw new Error("this system's sources of packages name no mirror");
  return found;
}

/** What comes with an installation: exact versions, each with its hash; few of them at run time. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url);
const execute = promisify(execFile);

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly inBundle?: boolean;
}

async function json<T>(name: string): Promise<T> {
  return JSON.parse(await readFile(new URL(name, ROOT), "utf8")) as T;
}

interface Package {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
}

const EXACT = /^(?:npm:[\w@/-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/;

async function locked(): Promise<[string, Locked][]> {
  const { packages } = await json<{ packages: Readonly<Record<string, Locked>> }>("package-lock.json");
  return Object.entries(packages).filter(([path]) => path !== "");
}

test("dependencies are named by exact versions", async () => {
  const { dependencies, devDependencies } = await json<Package>("package.json");
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    expect(version, name).toMatch(EXACT);
  }
  expect(Object.keys(dependencies)).toHaveLength(7);
});

test("the lockfile has a hash of each package, and none from outside of a registry", async () => {
  const all = await locked();
  expect(all.length).toBeGreaterThan(100);
  for (const [path, { inBundle, integrity, resolved }] of all) {
    if (inBundle === true) continue;
    expect(integrity, path).toMatch(/^sha512-/);
    // Whichever registry is asked, the hash decides; a package from anywhere else would say where.
    expect(resolved, path).toBeUndefined();
  }
});

test("nothing that an installation without development packages has runs a script", async () => {
  const { allowScripts } = await json<Package>("package.json");
  const scripted = (await locked()).filter(([, one]) => one.hasInstallScript === true);
  const runtime = scripted.filter(([, one]) => one.dev !== true && one.devOptional !== true);
  expect(runtime.map(([path]) => path)).toEqual([]);
  const named = new Set(scripted.map(([path]) => path.replace(/^.*node_modules\//, "")));
  // Those that may, and those that are said not to.
  expect(Object.keys(allowScripts).filter((name) => !named.has(name))).toEqual([]);
});

test("a bill of materials comes with npm, without the network", async () => {
  const args = ["sbom", "--package-lock-only", "--sbom-format=cyclonedx", "--offline"];
  const { stdout } = await execute("npm", args, { cwd: ROOT, maxBuffer: 64 << 20 });
  const { components } = JSON.parse(stdout) as { components: { name: string; version: string }[] };
  const listed = new Set(components.map(({ name, version }) => `${name} ${version}`));
  const { dependencies } = await json<Package>("package.json");
  expect(Object.entries(dependencies).filter(([name, version]) => !listed.has(`${name} ${version}`))).toEqual(
    [],
  );
});

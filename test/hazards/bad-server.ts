/** The cases of section 3 that take a server, or a database, of their own. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { vi } from "vitest";
import type { EmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { runAlone } from "../support/postgres.ts";
import type { Scenario } from "../support/scenario.ts";
import type { BadInput } from "./bad-input.ts";

export interface BadServer extends Pick<BadInput, "code" | "what" | "commands" | "told"> {
  /** How the database is created; UTF8 and C by default. */
  readonly database?: string;
  readonly build?: (server: EmbeddedPostgres, scenario: Scenario) => Promise<unknown>;
  readonly repair?: (server: EmbeddedPostgres, scenario: Scenario) => Promise<unknown>;
}

async function fsync(server: EmbeddedPostgres, to: "on" | "off"): Promise<void> {
  await runAlone(server.url(), `ALTER SYSTEM SET fsync = ${to}`);
  await runAlone(server.url(), "SELECT pg_reload_conf()");
  await vi.waitUntil(async () => (await runAlone(server.url(), "SHOW fsync")).rows[0].fsync === to, {
    timeout: 60_000,
  });
}

const standbySignal = ({ dataDirectory }: EmbeddedPostgres): string => join(dataDirectory, "standby.signal");

export const BAD_SERVERS: readonly BadServer[] = [
  { code: "E_TYPE", what: "SQL_ASCII", database: "ENCODING 'SQL_ASCII' LOCALE 'C'" },
  {
    code: "E_SERVER",
    what: "standby",
    // With nobody to follow: what a standby is whose primary is gone.
    build: async (server, scenario) => {
      await scenario.disconnect();
      await server.kill("SIGINT");
      await writeFile(standbySignal(server), "", { mode: 0o644 });
      await server.restart();
    },
    repair: async (server, scenario) => {
      await scenario.disconnect();
      await server.kill("SIGINT");
      await rm(standbySignal(server), { force: true });
      await server.restart();
    },
  },
  {
    code: "E_SERVER",
    what: "leftover prepared transactions",
    build: async (_, scenario) =>
      await scenario.query(
        "BEGIN; INSERT INTO audit_logs VALUES (9001, '2026-01-10 12:00+00'); PREPARE TRANSACTION 'left over'",
      ),
    repair: async (_, scenario) => await scenario.query("ROLLBACK PREPARED 'left over'"),
  },
  {
    code: "E_SERVER",
    what: "collation mismatch",
    database: "LOCALE_PROVIDER icu ICU_LOCALE 'en' LOCALE 'C' ENCODING 'UTF8'",
    build: async (_, scenario) =>
      await scenario.query(
        "UPDATE pg_database SET datcollversion = '1.2' WHERE datname = current_database()",
      ),
  },
  {
    code: "E_SERVER",
    what: "fsync=off",
    build: async (server) => await fsync(server, "off"),
    repair: async (server) => await fsync(server, "on"),
  },
];

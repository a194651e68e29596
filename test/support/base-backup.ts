/**
 * Base backups of a running server, by the functions that pg_basebackup calls and a copy of the files, and the recovery of
 * one with the log that was archived meanwhile.
 */
import { appendFile, chown, cp, mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { EmbeddedPostgres } from "../../src/demo/embedded-postgres.ts";
import { copyDataDirectory } from "./data-directory.ts";
import { runAlone } from "./postgres.ts";
import { waitUntil } from "./wait-until.ts";

/** Folders whose files the manual says to leave out, and the log, which comes last. */
const EMPTIED =
  /^(?:pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)\//;
const LEFT_OUT = /^(?:postmaster\.(?:pid|opts)|pg_internal\.init)$|\/(?:pg_internal\.init|pgsql_tmp)/;

/** A folder for the log, and the settings that make a server put each part of it there until `cut` is called. */
export interface LogArchive {
  readonly settings: Readonly<Record<string, string>>;
  /** Everything up to now is in the archive. */
  flush(url: string): Promise<void>;
  /** Nothing more gets into it: what happens from now on is lost with the server. */
  cut(): Promise<void>;
  /** Lines for the configuration of a server that recovers from it. */
  readonly recovery: string;
}

/** In `folder`, which the server's user must be able to reach. */
export async function openLogArchive(folder: string): Promise<LogArchive> {
  await mkdir(folder, { recursive: true });
  if (process.getuid?.() === 0) await chown(folder, 65_534, 65_534);
  const closed = join(folder, "closed");
  return {
    settings: {
      wal_level: "replica",
      archive_mode: "on",
      archive_command: `test ! -e ${closed} && cp %p ${folder}/%f.new && mv ${folder}/%f.new ${folder}/%f`,
    },
    async flush(url) {
      // A segment that nothing was written to is not archived.
      const { rows } = await runAlone(
        url,
        "SELECT pg_walfile_name(pg_logical_emit_message(false, '', 'flush')) AS file, pg_switch_wal()",
      );
      const last = (rows[0] as { file: string }).file;
      await waitUntil(async () => (await readdir(folder)).includes(last), `the log ${last} is archived`);
    },
    cut: async () => await writeFile(closed, ""),
    recovery: `\nrestore_command = 'cp ${folder}/%f %p'\nrecovery_target_action = 'promote'\narchive_mode = 'off'\n`,
  };
}

/** Of a server that goes on meanwhile. */
export async function takeBaseBackup(server: EmbeddedPostgres, to: string): Promise<void> {
  const client = new pg.Client(server.url());
  await client.connect();
  try {
    await client.query("SELECT pg_backup_start('test', true)");
    const from = server.dataDirectory;
    await rm(to, { recursive: true, force: true });
    await cp(from, to, {
      recursive: true,
      preserveTimestamps: true,
      filter: (path) => {
        const name = path.slice(from.length + 1);
        return !EMPTIED.test(name) && !LEFT_OUT.test(name);
      },
    });
    const { rows } = await client.query("SELECT labelfile FROM pg_backup_stop(false)");
    await writeFile(join(to, "backup_label"), (rows[0] as { labelfile: string }).labelfile);
    await cp(join(from, "pg_wal"), join(to, "pg_wal"), { recursive: true, preserveTimestamps: true });
    await handOver(to, from);
  } finally {
    await client.end();
  }
}

/** Puts the backup in the place of the server's data, and lets the server recover: to `target`, or to the log's end. */
export async function recoverFrom(
  backup: string,
  server: EmbeddedPostgres,
  log: LogArchive,
  target: string | null = null,
): Promise<void> {
  await server.kill("SIGKILL");
  await copyDataDirectory(backup, server.dataDirectory);
  const to = target === null ? "" : `recovery_target_name = '${target}'\n`;
  await appendFile(join(server.dataDirectory, "postgresql.conf"), `${log.recovery}${to}`);
  await writeFile(join(server.dataDirectory, "recovery.signal"), "");
  await handOver(server.dataDirectory, backup);
  await server.restart();
  await waitUntil(async () => {
    const { rows } = await runAlone(server.url(), "SELECT pg_is_in_recovery() AS recovering");
    return (rows[0] as { recovering: boolean }).recovering === false;
  }, "the server has recovered");
}

/** To the user that owns `like`. */
async function handOver(folder: string, like: string): Promise<void> {
  const { uid, gid } = await stat(like);
  for (const name of [".", ...(await readdir(folder, { recursive: true }))])
    await chown(join(folder, name), uid, gid);
}

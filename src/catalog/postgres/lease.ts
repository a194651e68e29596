/**
 * The lease: a row with an epoch that only grows. The database's clock alone decides about expiry. Every write of a run
 * calls `guard` in its transaction, so that a run which was taken over changes nothing any more (I6).
 */
import { FirnlineError } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import { sqlState } from "../../postgres/errors.ts";
import type { Lease, LeaseAnswer, LeaseHolder } from "../port.ts";
import { epochMs } from "./records.ts";

/** Each one more means that the lease was released between two statements. */
const ATTEMPTS_MAX = 5;

export function staleLease(lease: Lease): FirnlineError {
  return new FirnlineError({
    code: "E_STALE",
    subject: `run ${lease.run}`,
    problem: `its lease on ${lease.pipeline} (epoch ${lease.epoch}) was taken over by another run`,
    hint: "Nothing more was changed by this run; the other one goes on",
  });
}

/** Holds the lease row until the transaction ends, so that nobody can take over before it commits. */
export async function guard(tx: Transaction, lease: Lease): Promise<void> {
  await lockLease(tx, lease, "SHARE");
}

/**
 * The same, and alone: every other transaction behind a guard has ended when this returns, also one whose client is gone
 * and whose COMMIT came late.
 */
export async function guardAlone(tx: Transaction, lease: Lease): Promise<void> {
  await lockLease(tx, lease, "NO KEY UPDATE");
}

async function lockLease(tx: Transaction, lease: Lease, mode: "SHARE" | "NO KEY UPDATE"): Promise<void> {
  const { rowCount } = await tx.query(
    `SELECT FROM firnline.pipeline WHERE pipeline = $1 AND lease_epoch = $2 AND lease_run = $3 FOR ${mode}`,
    [lease.pipeline, lease.epoch.toString(), lease.run],
    "lease",
  );
  if (rowCount !== 1) throw staleLease(lease);
}

export async function acquireLease(
  database: Database,
  request: {
    pipeline: string;
    run: string;
    holder: LeaseHolder;
    durationMs: number;
    takeOver?: { run: string };
  },
): Promise<LeaseAnswer> {
  try {
    return await acquire(database, request);
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    // The holder is within a transaction, or frozen in one: its row is locked, but can be read.
    const held = await database.transaction("repeatable read, read only", "lease", async (tx) =>
      readHolder(tx, request.pipeline),
    );
    if (held === null) throw error;
    return held;
  }
}

const isLockTimeout = (error: unknown): boolean =>
  error instanceof FirnlineError && sqlState(error.cause) === "55P03";

async function acquire(
  database: Database,
  request: Parameters<typeof acquireLease>[1],
): Promise<LeaseAnswer> {
  return await database.transaction("read write", "lease", async (tx) => {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const epoch = await takeFreeLease(tx, request);
      if (epoch !== null) {
        // Runs of earlier epochs can't finish any more: say so, or they would look as if they went on.
        await tx.query(
          `UPDATE firnline.run SET state = 'interrupted', finished_at = now() WHERE pipeline = $1 AND state = 'running'`,
          [request.pipeline],
          "lease",
        );
        return { outcome: "acquired", lease: { pipeline: request.pipeline, run: request.run, epoch } };
      }
      const held = await readHolder(tx, request.pipeline);
      if (held !== null) return held;
      // It was released between the two statements.
    }
    throw new FirnlineError({
      code: "E_DATABASE",
      subject: `pipeline ${request.pipeline}`,
      problem: "its lease changes hands all the time",
      hint: "Run again",
      retryable: true,
    });
  });
}

async function takeFreeLease(
  tx: Transaction,
  request: Parameters<typeof acquireLease>[1],
): Promise<bigint | null> {
  const { rows } = await tx.query(
    `UPDATE firnline.pipeline
     SET lease_run = $2, lease_holder = $3, lease_epoch = lease_epoch + 1,
         lease_expires_at = clock_timestamp() + $4 * interval '1 millisecond'
     WHERE pipeline = $1 AND (lease_run IS NULL OR lease_expires_at < clock_timestamp() OR lease_run = $5)
     RETURNING lease_epoch::text AS epoch`,
    [
      request.pipeline,
      request.run,
      JSON.stringify(request.holder),
      request.durationMs,
      request.takeOver?.run ?? null,
    ],
    "lease",
  );
  return rows[0] === undefined ? null : BigInt(String(rows[0]["epoch"]));
}

/** Who holds the lease; null when nobody does. */
async function readHolder(
  tx: Transaction,
  pipeline: string,
): Promise<Extract<LeaseAnswer, { outcome: "held" }> | null> {
  const { rows } = await tx.query(
    `SELECT lease_run, lease_holder,
            CASE WHEN isfinite(lease_expires_at) THEN ${epochMs("lease_expires_at")} END AS expires_at
     FROM firnline.pipeline WHERE pipeline = $1`,
    [pipeline],
    "lease",
  );
  const row = rows[0];
  if (row === undefined) {
    throw new FirnlineError({
      code: "E_CATALOG",
      subject: `pipeline ${pipeline}`,
      problem: "the catalog does not know it",
      hint: "Was the control schema restored from a backup? Nothing was changed",
    });
  }
  if (row["lease_run"] === null) return null;
  return {
    outcome: "held",
    run: String(row["lease_run"]),
    holder: row["lease_holder"] as LeaseHolder,
    expiresAt: Number(row["expires_at"]) as EpochMs,
  };
}

export async function renewLease(database: Database, lease: Lease, durationMs: number): Promise<void> {
  const { rowCount } = await database.query(
    `UPDATE firnline.pipeline SET lease_expires_at = clock_timestamp() + $4 * interval '1 millisecond'
     WHERE pipeline = $1 AND lease_epoch = $2 AND lease_run = $3`,
    [lease.pipeline, lease.epoch.toString(), lease.run, durationMs],
    "renew lease",
  );
  if (rowCount !== 1) throw staleLease(lease);
}

export async function releaseLease(database: Database, lease: Lease): Promise<void> {
  await database.query(
    `UPDATE firnline.pipeline SET lease_run = NULL, lease_holder = NULL, lease_expires_at = '-infinity'
     WHERE pipeline = $1 AND lease_epoch = $2 AND lease_run = $3`,
    [lease.pipeline, lease.epoch.toString(), lease.run],
    "release lease",
  );
}

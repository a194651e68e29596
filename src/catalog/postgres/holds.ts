/** Holds in the control schema. Whoever places one locks the pipeline's row first; see `removable.ts` for the other side. */
import { FirnlineError } from "../../errors.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import { type DayUtc, type EpochMs, formatDay, parseDay } from "../../rows/day.ts";
import type { ExpiredDays, Hold, Holds, KeptRecord, LockWish, UnprotectedQuery } from "../holds.ts";
import type { SegmentRecord } from "../port.ts";
import type { SegmentLock } from "../segment-lock.ts";
import { readSchemaVersion } from "./migrate.ts";
import { insertEntry } from "./outbox.ts";
import { epochMs, type Row, SEGMENT_COLUMNS, segmentRecord } from "./records.ts";
import { IS_READ } from "./removable.ts";

/** The migration that made the table. */
const SCHEMA_VERSION = 3;

const HOLD_COLUMNS = `hold::text, day_from::text, day_to::text, reason, placed_by, ${epochMs("placed_at")} AS placed_at,
  released_by, release_reason, ${epochMs("released_at")} AS released_at`;
/** Whether a hold in force has a day of segment `s`. */
const IS_COVERED = `EXISTS (SELECT FROM firnline.hold h WHERE h.pipeline = s.pipeline AND h.released_at IS NULL
  AND h.day_from <= s.day_to AND h.day_to >= s.day_from)`;
/** Whether it is decided, and not journaled yet, that it expires: no hold brings it back. */
const IS_LEAVING = `EXISTS (SELECT FROM firnline.outbox o WHERE o.pipeline = s.pipeline
  AND o.event ->> 'type' = 'expire-intent' AND o.event ->> 'segment' = s.segment)`;
/** Of these the rows are in the archive alone. */
const IS_PRUNED = `s.state IN ('warm', 'cooling', 'cold') AND NOT EXISTS (
  SELECT FROM firnline.chunk c WHERE c.pipeline = s.pipeline AND c.segment = s.segment AND c.state <> 'pruned')`;

export class PostgresHolds implements Holds {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list(pipeline: string): Promise<Hold[]> {
    return await this.#read(async (tx) => await readHolds(tx, pipeline));
  }

  async place(pipeline: string, hold: Omit<Hold, "released">): ReturnType<Holds["place"]> {
    return await this.#write(async (tx) => {
      const epoch = await lockPipeline(tx, pipeline);
      const [dayFrom, dayTo] = [formatDay(hold.dayFrom), formatDay(hold.dayTo)];
      const at = new Date(hold.placedAt).toISOString();
      await tx.query(
        `INSERT INTO firnline.hold (hold, pipeline, day_from, day_to, reason, placed_by, placed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)`,
        [hold.hold, pipeline, dayFrom, dayTo, hold.reason, hold.placedBy, at],
        "hold",
      );
      const { hold: id, reason, placedBy } = hold;
      const event = { type: "hold" as const, hold: id, dayFrom, dayTo, reason, placedBy };
      await insertEntry(tx, { pipeline, run: `hold ${id}`, epoch, at, event });
      await forgetLegalHolds(tx, pipeline, id);
      const { rows } = await tx.query(
        `SELECT count(*)::int AS segments, coalesce(sum(s.rows), 0)::text AS rows FROM firnline.segment s
         WHERE s.pipeline = $1 AND s.day_from <= $3 AND s.day_to >= $2
           AND (s.state IN ('expiring', 'expired') OR ${IS_LEAVING})`,
        [pipeline, dayFrom, dayTo],
        "hold",
      );
      return { segments: Number(rows[0]?.["segments"]), rows: BigInt(rows[0]?.["rows"]) };
    });
  }

  async release(
    pipeline: string,
    hold: string,
    { reason, by, at }: NonNullable<Hold["released"]>,
  ): Promise<void> {
    await this.#write(async (tx) => {
      const epoch = await lockPipeline(tx, pipeline);
      const instant = new Date(at).toISOString();
      const { rowCount } = await tx.query(
        `UPDATE firnline.hold SET released_by = $3, release_reason = $4, released_at = $5
         WHERE pipeline = $1 AND hold = $2 AND released_at IS NULL`,
        [pipeline, hold, by, reason, instant],
        "release",
      );
      if (rowCount !== 1) throw notInForce(pipeline, hold);
      const event = { type: "released" as const, hold, reason, releasedBy: by };
      await insertEntry(tx, { pipeline, run: `hold ${hold}`, epoch, at: instant, event });
      await forgetLegalHolds(tx, pipeline, hold);
    });
  }

  async dueForExpiry(pipeline: string, until: DayUtc): Promise<KeptRecord[]> {
    return await this.#kept(`s.pipeline = $1 AND s.day_to <= $2 AND ${IS_PRUNED}`, [
      pipeline,
      formatDay(until),
    ]);
  }

  async unprotected(
    pipeline: string,
    { lock, legalHolds, countMax }: UnprotectedQuery,
  ): Promise<KeptRecord[]> {
    const conditions = [
      ...(lock === null ? [] : [isUnlocked(lock)]),
      // A superseded segment may have one that has to come off; what is to be kept of it another segment has.
      ...(legalHolds
        ? [
            `(s.legal_hold IS NOT TRUE AND s.state IN ('sealed', 'pruning', 'warm', 'cooling', 'cold')
              AND ${IS_COVERED} AND NOT ${IS_LEAVING})`,
            `(s.legal_hold IS NOT FALSE AND s.state NOT IN ('expired', 'abandoned') AND NOT ${IS_COVERED})`,
          ]
        : []),
    ];
    if (conditions.length === 0) return [];
    return await this.#kept(
      `s.pipeline = $1 AND (${conditions.join(" OR ")})`,
      [pipeline],
      `LIMIT ${Math.trunc(countMax)}`,
    );
  }

  async archived(pipeline: string, dayFrom: DayUtc, dayTo: DayUtc): ReturnType<Holds["archived"]> {
    const { rows } = await this.#database.query(
      `SELECT count(*)::int AS segments, coalesce(sum(s.rows), 0)::text AS rows FROM firnline.segment s
       WHERE s.pipeline = $1 AND s.day_from <= $3 AND s.day_to >= $2
         AND s.state IN ('sealed', 'pruning', 'warm', 'cooling', 'cold')`,
      [pipeline, formatDay(dayFrom), formatDay(dayTo)],
      "hold",
    );
    return { segments: Number(rows[0]?.["segments"]), rows: BigInt(rows[0]?.["rows"]) };
  }

  async protectionSeen(
    pipeline: string,
    { segment, object }: SegmentRecord,
    { lock, isHeld }: { readonly lock: SegmentLock | null; readonly isHeld: boolean | null },
  ): Promise<void> {
    await this.#database.query(
      `UPDATE firnline.segment SET lock_mode = $4, locked_until = to_timestamp($5::bigint / 1000.0), legal_hold = $6
       WHERE pipeline = $1 AND segment = $2 AND version_id IS NOT DISTINCT FROM $3`,
      [
        pipeline,
        segment,
        object?.versionId ?? null,
        lock?.mode ?? null,
        lock === null ? null : Math.trunc(lock.until).toString(),
        isHeld,
      ],
      "lock",
    );
  }

  async expired(
    pipeline: string,
    dayFrom: DayUtc,
    dayTo: DayUtc,
    except: readonly string[],
  ): Promise<ExpiredDays[]> {
    const { rows } = await this.#database.query(
      `SELECT rule, day_from::text, day_to::text, count(*)::int AS segments, sum(rows)::text AS rows
       FROM firnline.segment
       WHERE pipeline = $1 AND day_from <= $3 AND day_to >= $2 AND state IN ('expiring', 'expired')
         AND NOT (segment = ANY ($4))
       GROUP BY rule, day_from, day_to ORDER BY day_from, day_to, rule`,
      [pipeline, formatDay(dayFrom), formatDay(dayTo), except],
      "expired",
    );
    return rows.map((row) => ({
      rule: row["rule"] as string,
      dayFrom: parseDay(row["day_from"] as string),
      dayTo: parseDay(row["day_to"] as string),
      segments: Number(row["segments"]),
      rows: BigInt(row["rows"]),
    }));
  }

  async #kept(condition: string, values: readonly unknown[], limit = ""): Promise<KeptRecord[]> {
    return await this.#read(async (tx) => {
      if ((await readSchemaVersion(tx)) < SCHEMA_VERSION) return [];
      const { rows } = await tx.query(
        `SELECT ${SEGMENT_COLUMNS}, ${IS_READ} AS is_read FROM firnline.segment s
         WHERE ${condition} ORDER BY s.day_from, s.segment ${limit}`,
        values,
        "kept segments",
      );
      return rows.map((row) => ({ ...segmentRecord(row), isRead: row["is_read"] as boolean }));
    });
  }

  async #read<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#database.transaction("repeatable read, read only", "holds", work);
  }

  async #write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#database.transaction("read write", "hold", work);
  }
}

/** The store knows: what a process did to it that was killed right after is written nowhere else. Null: of every hold. */
export async function forgetLegalHolds(
  tx: Transaction,
  pipeline: string,
  hold: string | null,
): Promise<void> {
  await tx.query(
    `UPDATE firnline.segment s SET legal_hold = NULL
     WHERE s.pipeline = $1 AND s.state NOT IN ('expired', 'abandoned') AND EXISTS (
       SELECT FROM firnline.hold h WHERE h.pipeline = $1 AND ($2::uuid IS NULL OR h.hold = $2)
         AND h.day_from <= s.day_to AND h.day_to >= s.day_from)`,
    [pipeline, hold],
    "hold",
  );
}

/** All holds, oldest first. */
export async function readHolds(tx: Transaction, pipeline: string): Promise<Hold[]> {
  if ((await readSchemaVersion(tx)) < SCHEMA_VERSION) return [];
  const { rows } = await tx.query(
    `SELECT ${HOLD_COLUMNS} FROM firnline.hold h WHERE pipeline = $1 ORDER BY h.placed_at, h.hold`,
    [pipeline],
    "holds",
  );
  return rows.map(holdOf);
}

function holdOf(row: Row): Hold {
  const at = (value: unknown): EpochMs => Number(value) as EpochMs;
  return {
    hold: row["hold"] as string,
    dayFrom: parseDay(row["day_from"] as string),
    dayTo: parseDay(row["day_to"] as string),
    reason: row["reason"] as string,
    placedBy: row["placed_by"] as string,
    placedAt: at(row["placed_at"]),
    released:
      row["released_at"] === null
        ? null
        : {
            reason: row["release_reason"] as string,
            by: row["released_by"] as string,
            at: at(row["released_at"]),
          },
  };
}

/** Its lock is too short, or weaker than asked for, and the end that it should have is still to come. */
function isUnlocked({ mode, keepDays, now }: LockWish): string {
  const end = `((s.day_to + ${Math.trunc(keepDays) + 1})::timestamp AT TIME ZONE 'UTC')`;
  const weak = mode === "COMPLIANCE" ? " OR s.lock_mode = 'GOVERNANCE'" : "";
  return `(${IS_PRUNED} AND ${end} > to_timestamp(${Math.trunc(now)} / 1000.0)
    AND (s.locked_until IS NULL OR s.locked_until < ${end}${weak}))`;
}

/** Until this transaction ends nothing is decided to be removed. Returns the epoch. */
async function lockPipeline(tx: Transaction, pipeline: string): Promise<bigint> {
  const { rows } = await tx.query(
    "SELECT lease_epoch::text AS epoch FROM firnline.pipeline WHERE pipeline = $1 FOR NO KEY UPDATE",
    [pipeline],
    "hold",
  );
  const epoch = rows[0]?.["epoch"] as string | undefined;
  if (epoch !== undefined) return BigInt(epoch);
  throw new FirnlineError({
    code: "E_CATALOG",
    subject: `pipeline ${pipeline}`,
    problem: "the catalog does not know it",
    hint: "Nothing was changed. Was its control schema lost? `firnline catalog rebuild` brings it back",
  });
}

function notInForce(pipeline: string, hold: string): FirnlineError {
  return new FirnlineError({
    code: "E_INPUT",
    subject: `pipeline ${pipeline}`,
    problem: `hold ${hold} is not in force`,
    hint: "`firnline hold list --all` shows all of them",
  });
}

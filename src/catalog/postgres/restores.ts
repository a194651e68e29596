/** Restored copies, in the control schema. */
import { setTimeout } from "node:timers/promises";
import { type EpochMs, parseDay } from "../../rows/day.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import {
  type CopyOf,
  type CopySeen,
  type RestoreRecord,
  type RestoreRequest,
  type Restores,
  RESTORES_UNDER_WAY,
  type RestoreState,
  type RestoreTier,
} from "../restores.ts";
import { insertEntry } from "./outbox.ts";
import { epochMs, type Row } from "./records.ts";

/** Requests to the store while their rows are locked. */
const HAND_OVER_MAX = 16;

const COLUMNS = `r.id::text, r.segment, s.rule, s.day_from::text, s.day_to::text, r.storage_class, r.bytes::text,
  r.requested_by, ${epochMs("r.requested_at")} AS requested_at, r.retrieval::text, r.tier, r.days, r.state,
  ${epochMs("r.ready_at")} AS ready_at, ${epochMs("r.until")} AS until, r.error`;
const FROM = "firnline.restore r JOIN firnline.segment s USING (pipeline, segment)";
const INSTANT = (parameter: string): string => `to_timestamp(${parameter}::bigint / 1000.0)`;

export class PostgresRestores implements Restores {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async underWay(pipeline: string): Promise<Map<string, RestoreRecord>> {
    const { rows } = await this.#database.query(
      `SELECT ${COLUMNS} FROM ${FROM} WHERE r.pipeline = $1 AND r.state = ANY ($2)`,
      [pipeline, RESTORES_UNDER_WAY],
      "restores",
    );
    return new Map(rows.map(restoreRecord).map((record) => [record.segment, record]));
  }

  async list(pipeline: string, countMax: number): Promise<RestoreRecord[]> {
    const { rows } = await this.#database.query(
      `SELECT ${COLUMNS} FROM ${FROM} WHERE r.pipeline = $1 ORDER BY r.id DESC LIMIT $2`,
      [pipeline, countMax],
      "restores",
    );
    return rows.map(restoreRecord);
  }

  async ask(
    pipeline: string,
    request: RestoreRequest,
    fresh: readonly (CopyOf & { readonly readyAt: EpochMs | null })[],
    longer: readonly CopyOf[],
  ): Promise<Set<string>> {
    return await this.#write(async (tx) => {
      const { requestedBy, retrieval, tier, days, now } = request;
      const { rows } = await tx.query(
        `INSERT INTO firnline.restore
           (pipeline, segment, requested_by, requested_at, retrieval, tier, days, bytes, storage_class, state, ready_at)
         SELECT $1, c.segment, $2, ${INSTANT("$3")}, $4::uuid, $5, $6, c.bytes, c.class, 'asked', ${INSTANT("c.ready")}
         FROM unnest($7::text[], $8::bigint[], $9::text[], $10::bigint[]) AS c(segment, bytes, class, ready)
         ON CONFLICT (pipeline, segment) WHERE state IN ('asked', 'restoring', 'readable') DO NOTHING
         RETURNING segment`,
        [
          pipeline,
          requestedBy,
          now.toString(),
          retrieval,
          tier,
          days,
          fresh.map(({ segment }) => segment),
          fresh.map(({ bytes }) => bytes.toString()),
          fresh.map(({ storageClass }) => storageClass),
          fresh.map(({ readyAt }) => readyAt?.toString() ?? null),
        ],
        "restores",
      );
      const mine = new Set(rows.map((row) => row["segment"] as string));
      const asked = [...fresh.filter(({ segment }) => mine.has(segment)), ...longer];
      if (asked.length > 0) await journal(tx, pipeline, request, asked);
      return mine;
    });
  }

  async handOver(
    pipeline: string,
    segments: readonly string[],
    work: (record: RestoreRecord) => Promise<CopySeen>,
  ): Promise<void> {
    for (let after = 0n; ;) {
      const last = await this.#write(async (tx) => {
        // The lock is the right to ask the store. It ends with the process that holds it, so a killed one leaves no gap.
        const { rows } = await tx.query(
          `SELECT ${COLUMNS} FROM ${FROM}
           WHERE r.pipeline = $1 AND r.state = 'asked' AND r.segment = ANY ($2) AND r.id > $3
           ORDER BY r.id LIMIT ${HAND_OVER_MAX} FOR UPDATE OF r SKIP LOCKED`,
          [pipeline, segments, after.toString()],
          "restores",
        );
        const records = rows.map(restoreRecord);
        const asking = Promise.allSettled(records.map(async (record) => await work(record)));
        const answers = await this.#awake(tx, asking);
        for (const [at, answer] of answers.entries()) {
          if (answer.status === "fulfilled") await update(tx, records[at] as RestoreRecord, answer.value);
        }
        // What the others were answered counts, so it is committed before the error is told.
        const failed = answers.find((answer) => answer.status === "rejected");
        return { id: records.at(-1)?.id ?? null, error: failed?.reason as unknown };
      });
      if (last.error !== undefined) throw last.error;
      if (last.id === null) return;
      after = last.id;
    }
  }

  async saw(known: Pick<RestoreRecord, "id" | "state">, seen: CopySeen): Promise<void> {
    await this.#write(async (tx) => await update(tx, known, seen));
  }

  async found(pipeline: string, request: RestoreRequest, copy: CopyOf, seen: CopySeen): Promise<void> {
    await this.#database.query(
      `INSERT INTO firnline.restore
         (pipeline, segment, requested_by, requested_at, retrieval, bytes, storage_class, state, ready_at, until)
       VALUES ($1, $2, $3, ${INSTANT("$4")}, $5, $6, $7, $8, ${INSTANT("$9")}, ${INSTANT("$10")})
       ON CONFLICT (pipeline, segment) WHERE state IN ('asked', 'restoring', 'readable') DO NOTHING`,
      [
        pipeline,
        copy.segment,
        request.requestedBy,
        request.now.toString(),
        request.retrieval,
        copy.bytes.toString(),
        copy.storageClass,
        seen.state,
        seen.readyAt?.toString() ?? null,
        seen.until?.toString() ?? null,
      ],
      "restores",
    );
  }

  /** Waits for the store. It may take longer than the server lets a transaction be idle, and the locks must stay. */
  async #awake<T>(tx: Transaction, asking: Promise<T>): Promise<T> {
    const answered = asking.then(() => true);
    for (;;) {
      const stop = new AbortController();
      const pause = setTimeout(this.#database.idleInTransactionMs / 3, false, { signal: stop.signal });
      const isAnswered = await Promise.race([answered, pause.catch(() => false)]);
      stop.abort();
      if (isAnswered) return await asking;
      // That the connection is gone is told by what is written next.
      await tx.query("SELECT 1", [], "restores").catch(() => {});
    }
  }

  async #write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#database.transaction("read write", "restores", work);
  }
}

async function update(
  tx: Transaction,
  known: Pick<RestoreRecord, "id" | "state">,
  seen: CopySeen,
): Promise<void> {
  await tx.query(
    `UPDATE firnline.restore SET state = $3, ready_at = coalesce(${INSTANT("$4")}, ready_at),
            until = coalesce(${INSTANT("$5")}, until), error = $6
     WHERE id = $1 AND state = $2`,
    [
      known.id.toString(),
      known.state,
      seen.state,
      seen.readyAt?.toString() ?? null,
      seen.until?.toString() ?? null,
      seen.error,
    ],
    "restores",
  );
}

/** Who asks holds no lease and so must not write the journal; the next run publishes this. */
async function journal(
  tx: Transaction,
  pipeline: string,
  { requestedBy, retrieval, tier, days, now }: RestoreRequest,
  asked: readonly CopyOf[],
): Promise<void> {
  const { rows } = await tx.query(
    "SELECT lease_epoch::text AS epoch FROM firnline.pipeline WHERE pipeline = $1",
    [pipeline],
    "restores",
  );
  await insertEntry(tx, {
    pipeline,
    run: retrieval === null ? "rehydrate" : `retrieval ${retrieval}`,
    epoch: BigInt(rows[0]?.["epoch"] as string),
    at: new Date(now).toISOString(),
    event: {
      type: "restored",
      requestedBy,
      retrieval,
      tier,
      days,
      segments: asked.map(({ segment }) => segment),
      bytes: asked.reduce((sum, { bytes }) => sum + bytes, 0n).toString(),
    },
  });
}

function restoreRecord(row: Row): RestoreRecord {
  const instant = (value: unknown): EpochMs | null => (value === null ? null : (Number(value) as EpochMs));
  return {
    id: BigInt(row["id"]),
    segment: row["segment"] as string,
    rule: row["rule"] as string,
    dayFrom: parseDay(row["day_from"] as string),
    dayTo: parseDay(row["day_to"] as string),
    storageClass: row["storage_class"] as string,
    bytes: BigInt(row["bytes"]),
    requestedBy: row["requested_by"] as string,
    requestedAt: Number(row["requested_at"]) as EpochMs,
    retrieval: row["retrieval"] as string | null,
    tier: row["tier"] as RestoreTier | null,
    days: row["days"] as number | null,
    state: row["state"] as RestoreState,
    readyAt: instant(row["ready_at"]),
    until: instant(row["until"]),
    error: row["error"] as string | null,
  };
}

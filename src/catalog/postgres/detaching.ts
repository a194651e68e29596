/** Leaves on their way out, in the control schema. */
import { invariant } from "../../errors.ts";
import type { EpochMicros } from "../../rows/day.ts";
import type { DetachingLeaf } from "../../segment/detaching-leaf.ts";
import type { Database, Transaction } from "../../postgres/database.ts";
import { quoteTable } from "../../postgres/quote.ts";
import type { DetachingLeaves } from "../detaching.ts";
import type { Lease, SegmentRecord } from "../port.ts";
import { guard, staleLease } from "./lease.ts";
import { SEGMENT_COLUMNS, segmentRecord } from "./records.ts";

export class PostgresDetaching implements DetachingLeaves<Transaction> {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async list(tx: Transaction, pipeline: string): Promise<DetachingLeaf[]> {
    const found = await tx.query(
      "SELECT to_regclass('firnline.detaching') IS NOT NULL AS present",
      [],
      "detaching",
    );
    if (found.rows[0]?.["present"] !== true) return [];
    const { rows } = await tx.query(
      `SELECT leaf_oid, leaf_schema, leaf_name, parent_schema, parent_name, bound, range_from::text, range_to::text
       FROM firnline.detaching WHERE pipeline = $1 ORDER BY detaching.range_from, leaf_oid`,
      [pipeline],
      "detaching",
    );
    return rows.map((row) => ({
      oid: row["leaf_oid"] as string,
      schema: row["leaf_schema"] as string,
      name: row["leaf_name"] as string,
      parent: { schema: row["parent_schema"] as string, name: row["parent_name"] as string },
      bound: row["bound"] as string,
      range: { from: BigInt(row["range_from"]) as EpochMicros, to: BigInt(row["range_to"]) as EpochMicros },
    }));
  }

  /** Without those that were dropped by hand: a rebuild of the catalog forgets them. */
  async listPresent(tx: Transaction, pipeline: string): Promise<DetachingLeaf[]> {
    const listed = await this.list(tx, pipeline);
    const { rows } = await tx.query(
      "SELECT oid FROM unnest($1::text[], $2::text[]) AS l(oid, name) WHERE to_regclass(name)::oid::text = oid",
      [listed.map(({ oid }) => oid), listed.map(quoteTable)],
      "detaching",
    );
    return listed.filter(({ oid }) => rows.some((row) => row["oid"] === oid));
  }

  async add(lease: Lease, { oid, schema, name, parent, bound, range }: DetachingLeaf): Promise<void> {
    await this.#database.transaction("read write", "detaching", async (tx) => {
      await guard(tx, lease);
      await tx.query(
        `INSERT INTO firnline.detaching
           (pipeline, leaf_oid, leaf_schema, leaf_name, parent_schema, parent_name, bound, range_from, range_to)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (pipeline, leaf_oid) DO UPDATE SET
           leaf_schema = excluded.leaf_schema, leaf_name = excluded.leaf_name,
           parent_schema = excluded.parent_schema, parent_name = excluded.parent_name,
           bound = excluded.bound, range_from = excluded.range_from, range_to = excluded.range_to`,
        [
          lease.pipeline,
          oid,
          schema,
          name,
          parent.schema,
          parent.name,
          bound,
          range.from.toString(),
          range.to.toString(),
        ],
        "detaching",
      );
    });
  }

  async lock(tx: Transaction, lease: Lease, oid: string): Promise<boolean> {
    // Not yet held: dropping takes a while, and the lease has to be renewed meanwhile.
    await requireLease(tx, lease);
    const { rowCount } = await tx.query(
      "SELECT FROM firnline.detaching WHERE pipeline = $1 AND leaf_oid = $2 FOR UPDATE",
      [lease.pipeline, oid],
      "detaching",
    );
    return rowCount === 1;
  }

  async dropped(tx: Transaction, lease: Lease, oid: string): Promise<void> {
    const { rowCount } = await tx.query(
      "DELETE FROM firnline.detaching WHERE pipeline = $1 AND leaf_oid = $2",
      [lease.pipeline, oid],
      "dropped",
    );
    invariant(rowCount === 1, `leaf ${oid}`, "it was dropped without being listed");
    await guard(tx, lease);
  }

  async openSegments(pipeline: string, oid: string): Promise<SegmentRecord[]> {
    const { rows } = await this.#database.query(
      `SELECT ${SEGMENT_COLUMNS} FROM firnline.segment s
       WHERE s.pipeline = $1 AND s.leaf_oid = $2 AND s.state IN ('uploaded', 'sealed', 'pruning')
       ORDER BY s.day_from, s.segment`,
      [pipeline, oid],
      "segments of a leaf",
    );
    return rows.map(segmentRecord);
  }
}

async function requireLease(tx: Transaction, lease: Lease): Promise<void> {
  const { rowCount } = await tx.query(
    "SELECT FROM firnline.pipeline WHERE pipeline = $1 AND lease_epoch = $2 AND lease_run = $3",
    [lease.pipeline, lease.epoch.toString(), lease.run],
    "lease",
  );
  if (rowCount !== 1) throw staleLease(lease);
}

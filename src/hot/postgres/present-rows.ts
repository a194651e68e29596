/** What the table holds now of archived rows, on PostgreSQL 15 to 18. */
import type { RawRows } from "../../rows/copy-binary.ts";
import { sortRows } from "../../rows/row-order.ts";
import type { NewSha256 } from "../../segment/digest.ts";
import type { LeafName } from "../../segment/partition-key.ts";
import type { Database } from "../../postgres/database.ts";
import { quoteTable } from "../../postgres/quote.ts";
import type { ChunkDelete, Leaf, SealedRows, SourceTable } from "../port.ts";
import type { PresentRows } from "../present-rows.ts";
import { readAtMost } from "./copy-reader.ts";
import { readFingerprint } from "./describe.ts";
import { only, selectionsOf, sqlExport } from "./sql-text.ts";

export class PostgresPresentRows implements PresentRows {
  readonly #database: Database;
  readonly #newHash: NewSha256;

  constructor(options: { database: Database; newHash: NewSha256 }) {
    this.#database = options.database;
    this.#newHash = options.newHash;
  }

  async ofChunk(
    source: SourceTable,
    { leaf, fingerprint, predicate }: Pick<SealedRows, "leaf" | "fingerprint" | "predicate">,
    chunk: ChunkDelete,
  ): Promise<RawRows | null> {
    return await this.#database.transaction("repeatable read, read only", "compare", async (tx) => {
      // The lock comes before the snapshot (hazard 6).
      await tx.query(`LOCK TABLE ${only(leaf)} IN ACCESS SHARE MODE`, [], "lock");
      // Another definition gives the same values other bytes, and may not know the predicate's columns.
      if ((await readFingerprint(tx, this.#newHash, leaf.oid)) !== fingerprint) return null;
      const sql = sqlExport(source, only(leaf), chunk.range, predicate);
      const rows = await readAtMost(tx, sql, selectionsOf(source), chunk, "compare");
      return rows === null ? null : sortRows(source, rows);
    });
  }

  async isThere(leaf: LeafName | Leaf): Promise<boolean> {
    const { rows } = await this.#database.query(
      "SELECT coalesce(to_regclass($1)::oid::text = $2, false) AS present",
      [quoteTable(leaf), leaf.oid],
      "table",
    );
    return rows[0]?.["present"] === true;
  }
}

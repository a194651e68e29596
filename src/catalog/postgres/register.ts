/** The pipeline's row: which archive belongs to which table of which database. */
import { FirnlineError, invariant } from "../../errors.ts";
import type { SourceIdentity } from "../../segment/journal.ts";
import type { Transaction } from "../../postgres/database.ts";
import type { PipelineRecord } from "../port.ts";
import { selectPipeline } from "./views.ts";

interface Registration {
  readonly pipeline: string;
  readonly archiveId: string;
  readonly archiveUrl: string;
  readonly source: SourceIdentity;
}

export async function register(tx: Transaction, record: Registration): Promise<PipelineRecord> {
  await refuseSecondPipeline(tx, record);
  const values = [record.pipeline, record.archiveId, record.archiveUrl, JSON.stringify(record.source)];
  // Nothing journaled, no segment and no run at work: at most a first run failed before it began, perhaps on a wrong
  // archive. Under a lease the row is the run's (I6), which would go on in an archive that the catalog forgot.
  const changed = await tx.query(
    `UPDATE firnline.pipeline p SET archive_id = $2, archive_url = $3, source = $4
     WHERE pipeline = $1 AND journal_n = 0 AND (archive_url <> $3 OR source <> $4)
       AND (lease_run IS NULL OR lease_expires_at < clock_timestamp())
       AND NOT EXISTS (SELECT FROM firnline.segment s WHERE s.pipeline = p.pipeline)`,
    values,
    "register",
  );
  if (changed.rowCount === 1) {
    // A hold that was placed before is in force all the same, and is to be journaled.
    await tx.query(
      "DELETE FROM firnline.outbox WHERE pipeline = $1 AND event ->> 'type' NOT IN ('hold', 'released')",
      [record.pipeline],
      "register",
    );
  }
  await tx.query(
    `INSERT INTO firnline.pipeline (pipeline, archive_id, archive_url, source) VALUES ($1, $2, $3, $4)
     ON CONFLICT DO NOTHING`,
    values,
    "register",
  );
  const found = await selectPipeline(tx, record.pipeline);
  // Another name was faster.
  if (found === null) await refuseSecondPipeline(tx, record);
  invariant(found !== null, record.pipeline, "its row is gone");
  return found;
}

async function refuseSecondPipeline(tx: Transaction, { pipeline, source }: Registration): Promise<void> {
  const second = await secondPipeline(tx, pipeline, source);
  if (second !== null) throw second;
}

/** Each would take the other's rows for rows that never were. A unique index holds it against races, too. */
export async function secondPipeline(
  tx: Transaction,
  pipeline: string,
  source: SourceIdentity,
): Promise<FirnlineError | null> {
  const { rows } = await tx.query(
    "SELECT pipeline FROM firnline.pipeline WHERE source = $2 AND pipeline <> $1",
    [pipeline, JSON.stringify(source)],
    "register",
  );
  const other = rows[0]?.["pipeline"] as string | undefined;
  if (other === undefined) return null;
  return new FirnlineError({
    code: "E_POLICY",
    subject: `pipeline ${pipeline}`,
    problem: `pipeline ${other} moves this table already`,
    hint: "A table has one pipeline, and its name is permanent; put the name back, or use rules",
  });
}

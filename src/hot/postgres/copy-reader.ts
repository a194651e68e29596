/** COPY streams of the source table, cut into chunks of raw rows. */
import type { Selection } from "../../rows/column.ts";
import { RawColumns, type RawRows } from "../../rows/copy-binary.ts";
import { firstBound } from "../../rows/row-order.ts";
import type { SpareBuffers } from "../../rows/spare-buffers.ts";
import { CopyBinaryDecoder } from "../../rows/copy-decoder.ts";
import type { Transaction } from "../../postgres/database.ts";
import type { ChunkLimits, ExportedChunk, SourceTable } from "../port.ts";
import { selectionsOf } from "./sql-text.ts";

/**
 * Chunks of at most `limits` rows and, by one row more, bytes (I10: no more than one is built at a time). Their buffers are
 * filled again when they come back to `spare`.
 */
export async function* readChunks(
  tx: Transaction,
  sql: string,
  selections: readonly Selection[],
  limits: ChunkLimits,
  op: string,
  spare?: SpareBuffers,
): AsyncGenerator<RawRows, void, undefined> {
  const columns = new RawColumns(selections.length, spare);
  const ready: RawRows[] = [];
  const decoder = new CopyBinaryDecoder(
    columns,
    () => {
      if (columns.rows >= limits.rowsMax || columns.bytes >= limits.bytesMax) ready.push(columns.take());
    },
    selections,
  );
  for await (const _ of copyInto(tx, sql, op, decoder, () => ready.length > 0)) {
    while (ready.length > 0) yield ready.shift() as RawRows;
  }
  decoder.finish();
  if (columns.rows > 0) yield columns.take();
}

/** The same of an export, each with where it begins; released, its buffers are filled again. */
export async function* exportChunks(
  tx: Transaction,
  source: SourceTable,
  sql: string,
  limits: ChunkLimits,
  spare: SpareBuffers,
): AsyncGenerator<ExportedChunk, void, undefined> {
  for await (const rows of readChunks(tx, sql, selectionsOf(source), limits, "export", spare)) {
    yield { first: firstBound(source, rows), rows, release: () => spare.give(rows.columns) };
  }
}

/**
 * All rows at once, or null as soon as there are more than `limits` allows. The largest row does not count towards the
 * bytes: a chunk is cut after the row that fills it, however large that one is.
 */
export async function readAtMost(
  tx: Transaction,
  sql: string,
  selections: readonly Selection[],
  limits: ChunkLimits,
  op: string,
  spare?: SpareBuffers,
): Promise<RawRows | null> {
  const columns = new RawColumns(selections.length, spare);
  let before = 0;
  let largest = 0;
  const decoder = new CopyBinaryDecoder(
    columns,
    () => {
      largest = Math.max(largest, columns.bytes - before);
      before = columns.bytes;
    },
    selections,
  );
  const isTooMuch = (): boolean => columns.rows > limits.rowsMax || columns.bytes - largest > limits.bytesMax;
  for await (const _ of copyInto(tx, sql, op, decoder, isTooMuch)) {
    if (isTooMuch()) return null;
  }
  decoder.finish();
  return columns.take();
}

/**
 * Rows cut at `counts`: a chunk for each count, in order, shorter or empty where there are too few rows. Null stands for
 * a chunk of more than `bytesMax` bytes (I10). Rows after the last chunk are counted: they come as one more chunk
 * without columns. All rows are read in any case.
 */
export async function* readCut(
  tx: Transaction,
  sql: string,
  selections: readonly Selection[],
  { counts, bytesMax }: { readonly counts: readonly number[]; readonly bytesMax: number },
  op: string,
): AsyncGenerator<RawRows | null, void, undefined> {
  const columns = new RawColumns(selections.length);
  const ready: (RawRows | null)[] = [];
  let cut = 0;
  let rows = 0;
  let isLarge = false;
  const decoder = new CopyBinaryDecoder(
    columns,
    () => {
      rows += 1;
      if (columns.bytes > bytesMax) {
        columns.take();
        isLarge = true;
      }
      if (rows !== counts[cut]) return;
      ready.push(isLarge ? null : columns.take());
      if (isLarge) columns.take();
      [cut, rows, isLarge] = [cut + 1, 0, false];
    },
    selections,
  );
  for await (const _ of copyInto(tx, sql, op, decoder, () => ready.length > 0)) {
    while (ready.length > 0) yield ready.shift() as RawRows | null;
  }
  decoder.finish();
  for (; cut < counts.length; cut += 1) {
    yield isLarge ? null : columns.take();
    [rows, isLarge] = [0, false];
  }
  if (rows > 0) yield { rows, columns: [] };
}

/** Yields when `isReady` after some bytes. */
function copyInto(
  tx: Transaction,
  sql: string,
  op: string,
  decoder: CopyBinaryDecoder,
  isReady: () => boolean,
): AsyncGenerator<void, void, undefined> {
  return tx.copy(sql, op, (bytes, start, end) => {
    decoder.push(bytes, start, end);
    return isReady();
  });
}

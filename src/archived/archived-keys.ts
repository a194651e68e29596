/** The keys of archived rows, as texts, to ask the table for them. */
import { indexFields, type RawRows } from "../rows/copy-binary.ts";
import { fieldToText } from "../rows/key-range.ts";
import type { OrderColumns } from "../rows/row-order.ts";
import type { Manifest } from "../segment/manifest.ts";

type KeyedTable = Pick<OrderColumns, "columns" | "keyColumns">;

/** Whether a key of the archive can be looked for in the table: it has one, by the same columns. */
export function hasSameKey(manifest: Manifest, table: KeyedTable): boolean {
  const now = table.keyColumns.map((index) => table.columns[index]);
  return (
    now.length > 0 &&
    now.length === manifest.key.length &&
    keyColumns(manifest).every((index, at) => {
      const before = manifest.columns[index];
      return before?.name === now[at]?.name && before?.kind === now[at]?.kind;
    })
  );
}

/** One text a key column, row by row. */
export function keysOf(manifest: Manifest, rows: RawRows): string[][] {
  const fields = keyColumns(manifest).map((index) => {
    const bytes = rows.columns[index] as Uint8Array;
    const { kind } = manifest.columns[index] as Manifest["columns"][number];
    const { starts, lengths } = indexFields(bytes, rows.rows);
    return (row: number): string => fieldToText(kind, bytes, starts[row] as number, lengths[row] as number);
  });
  return Array.from({ length: rows.rows }, (_, row) => fields.map((text) => text(row)));
}

const keyColumns = ({ key, columns }: Manifest): number[] =>
  key.map((name) => columns.findIndex((column) => column.name === name));

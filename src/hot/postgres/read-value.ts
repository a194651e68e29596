/**
 * A value that a person wrote, as the field that Postgres reads it as. Types are looked up by their text, since a type
 * that only old segments name belongs to no column of the table any more; the text itself is never part of a statement.
 */
import { readFileSync } from "node:fs";
import { FirnlineError } from "../../errors.ts";
import type { Column } from "../../rows/column.ts";
import type { RawRows } from "../../rows/copy-binary.ts";
import type { Transaction } from "../../postgres/database.ts";
import { quoteLiteral } from "../../postgres/quote.ts";
import { readAtMost } from "./copy-reader.ts";
import { selected } from "./sql-text.ts";

const BASE_TYPE = readFileSync(new URL("./sql/base-type.sql", import.meta.url), "utf8");

/** See `Hot.baseType`. */
export async function readBaseType(tx: Transaction, type: string): Promise<string | null> {
  const { rows } = await tx.query(BASE_TYPE, [type], "where");
  return (rows[0]?.["type"] ?? null) as string | null;
}

/** See `Hot.encodeValue`. */
export async function readValue(
  tx: Transaction,
  { name, type, select }: Pick<Column, "name" | "type" | "select">,
  value: string,
): Promise<Uint8Array> {
  // Without its modifier: a cast to varchar(3) would cut the value and find rows that it is not equal to.
  const base = await readBaseType(tx, type);
  if (base === null) throw noSuchType(name, type);
  const cast = `${quoteLiteral(value)}::${base}`;
  const sql = `COPY (SELECT ${selected(select, cast)}) TO STDOUT (FORMAT binary)`;
  const found = await readAtMost(tx, sql, [select], { rowsMax: 1, bytesMax: 1 << 20 }, "where");
  return (found as RawRows).columns[0]?.subarray(4) as Uint8Array;
}

export function noSuchValue(
  column: Pick<Column, "name" | "type">,
  value: string,
  cause: unknown,
): FirnlineError {
  return new FirnlineError({
    code: "E_INPUT",
    subject: `--where ${column.name}`,
    problem: `"${value}" is not a value of type ${column.type}`,
    hint: "Write the value as Postgres would read it",
    cause,
  });
}

function noSuchType(column: string, type: string): FirnlineError {
  return new FirnlineError({
    code: "E_INPUT",
    subject: `--where ${column}`,
    problem: `its type ${type} is not in the database any more, so nothing tells what equals what`,
    hint: "Retrieve without it and filter the answer",
  });
}

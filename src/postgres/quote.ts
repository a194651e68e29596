/** SQL text is only ever built from what goes through here. */
import { escapeIdentifier, escapeLiteral } from "pg";
import { invariant } from "../errors.ts";

/** `"a""b"`. */
export function quoteIdentifier(name: string): string {
  invariant(!name.includes("\0") && name !== "", "identifier", "an identifier is empty or holds a NUL");
  return escapeIdentifier(name);
}

/** `"schema"."table"`: always both, so that search_path never decides. */
export function quoteTable(table: { readonly schema: string; readonly name: string }): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`;
}

/** `'it''s'`. Postgres text holds no NUL. */
export function quoteLiteral(text: string): string {
  invariant(!text.includes("\0"), "literal", "a text holds a NUL");
  return escapeLiteral(text).trimStart();
}

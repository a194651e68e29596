/** Names as a policy file writes them: the way back from `readers/identifier.ts`. */
import type { TableName } from "./readers/identifier.ts";

/** Plain where psql would take it so, else in double quotes. */
export function identifierText(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** `schema.table`. */
export function tableText({ schema, name }: TableName): string {
  return `${identifierText(schema)}.${identifierText(name)}`;
}

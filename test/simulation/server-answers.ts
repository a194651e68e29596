/** What the server says of itself and of the table: statements over its catalogs, which the simulation does not have. */
import { readFileSync } from "node:fs";
import type { Outcome } from "./sql/compile-statement.ts";

const sqlFile = (name: string): string =>
  readFileSync(new URL(`../../src/hot/postgres/sql/${name}`, import.meta.url), "utf8");

const NO_SIDE_EFFECTS = { deleteTriggers: [], references: [], rules: [], publications: [] };

const ANSWERS = new Map<string, Outcome>([
  [sqlFile("fingerprint.sql"), one("definition", "text", "the simulated table")],
  [sqlFile("side-effects.sql"), one("facts", "jsonb", NO_SIDE_EFFECTS)],
  ["SELECT 1", one("?column?", "int", 1n)],
]);

function one(name: string, type: string, value: unknown): Outcome {
  return { rows: [{ [name]: value }], rowCount: 1, columns: new Map([[name, type]]) };
}

/** Null: no such question. */
export function answerOfServer(text: string): Outcome | null {
  const answer = ANSWERS.get(text);
  if (answer !== undefined) return answer;
  // How large a row is, with its indexes: see `inventory.ts`.
  if (!text.includes("FROM pg_class WHERE oid = ANY ($1::oid[])")) return null;
  const names = ["bytes", "estimate", "any"];
  return {
    rows: [{ bytes: "8192", estimate: "1", any: "1" }],
    rowCount: 1,
    columns: new Map(names.map((name) => [name, "text"])),
  };
}

/** Counting what is in the table: the rows that a plan may move, and all of them for `status`. */
import { DAY_MAX, DAY_MIN, type DayUtc, dayEnd, dayStart, type EpochMicros } from "../../rows/day.ts";
import type { Transaction } from "../../postgres/database.ts";
import { quoteLiteral } from "../../postgres/quote.ts";
import type { Census, Inventory, Leaf, SourceTable } from "../port.ts";
import { dayGroups, timeLimitsOf } from "./days.ts";
import { ruleExpression, sqlWhere, timeBound, timeIdentifier } from "./sql-text.ts";

/** Rows of each partition up to and including `lastDay`. The caller has locked `table`, which `rowsOf` wrote. */
export async function readInventory(
  tx: Transaction,
  source: SourceTable,
  table: string,
  lastDay: DayUtc,
): Promise<Inventory> {
  const leaves = new Map(source.leaves.map((leaf) => [leaf.oid, leaf]));
  const { from, to } = await timeLimitsOf(tx, source, { from: dayStart(DAY_MIN), to: dayEnd(lastDay) });
  const range = sqlWhere(source, { from: timeBound(from), to: timeBound(to) }, null);
  const days = await dayGroups(tx, source, table, range);
  // Of a table that is one, the leaf is known: an index alone may tell the rest.
  const leaf = source.isPartitioned ? "tableoid" : `${source.table.oid}::oid`;
  const { rows } = await tx.query(
    `SELECT leaf::text, ${days.dayOf("bin")} AS day, rule, rows FROM (
       SELECT ${leaf} AS leaf, ${days.group} AS bin, ${ruleExpression(source)} AS rule, count(*) AS rows
       FROM ${table} WHERE ${range} GROUP BY 1, 2, 3) counted
     ORDER BY day, rule, counted.leaf`,
    [],
    "inventory",
  );
  const size = await tx.query(
    `SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::text AS bytes,
            greatest(sum(greatest(reltuples, 0)), 1)::bigint::text AS estimate
     FROM pg_class WHERE oid = ANY ($1::oid[])`,
    [source.leaves.map(({ oid }) => oid)],
    "table size",
  );
  const counted = rows.reduce((sum, row) => sum + Number(row["rows"]), 0);
  // reltuples is 0 or stale until the first ANALYZE; what was counted just now is a lower limit.
  const total = Math.max(Number(size.rows[0]?.["estimate"]), counted, 1);
  return {
    // A leaf that was attached after the table was described waits for the next run.
    partitions: rows
      .filter((row) => leaves.has(row["leaf"] as string))
      .map((row) => ({
        leaf: leaves.get(row["leaf"] as string) as Leaf,
        rule: source.rules[Number(row["rule"])]?.name as string,
        day: Number(row["day"]) as DayUtc,
        rows: BigInt(row["rows"]),
      })),
    rowBytes: counted === 0 ? 0 : Math.round(Number(size.rows[0]?.["bytes"]) / total),
  };
}

export async function readCensus(tx: Transaction, source: SourceTable, table: string): Promise<Census> {
  const time = timeIdentifier(source);
  const { from, to } = await timeLimitsOf(tx, source, { from: dayStart(DAY_MIN), to: dayEnd(DAY_MAX) });
  const inside = sqlWhere(source, { from: timeBound(from), to: timeBound(to) }, null);
  const zone = source.zone === null ? "" : ` AT TIME ZONE ${quoteLiteral(source.zone)}`;
  const micros = (aggregate: string): string =>
    `(extract(epoch FROM ${aggregate}(${time}) FILTER (WHERE ${inside})${zone}) * 1000000)::bigint::text`;
  const { rows } = await tx.query(
    `SELECT count(*)::text AS rows, ${micros("min")} AS oldest, ${micros("max")} AS newest,
            (SELECT coalesce(sum(pg_total_relation_size(leaf)), 0) FROM unnest($1::oid[]) AS leaf)::text AS bytes,
            count(*) FILTER (WHERE ${time} IS NULL)::text AS null_time,
            count(*) FILTER (WHERE NOT isfinite(${time}))::text AS infinite_time,
            count(*) FILTER (WHERE isfinite(${time}) AND NOT (${inside}))::text AS out_of_calendar
     FROM ${table}`,
    [source.leaves.map(({ oid }) => oid)],
    "census",
  );
  const row = rows[0] as Record<string, string | null>;
  const instant = (text: string | null): EpochMicros | null =>
    text === null ? null : (BigInt(text) as EpochMicros);
  return {
    rows: BigInt(row["rows"] as string),
    bytes: BigInt(row["bytes"] as string),
    oldest: instant(row["oldest"] as string | null),
    newest: instant(row["newest"] as string | null),
    leftovers: {
      nullTime: BigInt(row["null_time"] as string),
      infiniteTime: BigInt(row["infinite_time"] as string),
      outOfCalendar: BigInt(row["out_of_calendar"] as string),
    },
  };
}

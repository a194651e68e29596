/** What a partition is called: one rule's day in one table. */
import type { DayUtc } from "../rows/day.ts";

/** A leaf of the partitioned source. */
export interface LeafName {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
}

export interface PartitionKey {
  /** Null where the source is a plain table. */
  readonly leaf: LeafName | null;
  readonly rule: string;
  readonly day: DayUtc;
}

/** The same text for the same partition. */
export function partitionId({ leaf, rule, day }: PartitionKey): string {
  return `${leaf?.oid ?? ""} ${rule} ${day}`;
}

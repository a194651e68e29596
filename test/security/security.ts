/**
 * Where each line of the security table is held. `map.test.ts` looks that the tests are there. What is about the console
 * comes with the console.
 */
import type { Held } from "../hazards/hazards.ts";

export const CHECKS: Readonly<Record<string, readonly Held[]>> = {
  "roles: exporter SELECT, pruner DELETE, collector the only one that deletes objects": [
    ["security/roles.test.ts", "the %s is denied `firnline %s`, and nothing changes"],
    ["security/roles.test.ts", "the %s is denied by Postgres: %s"],
    ["security/store-roles.test.ts", "each does its own work with what it may, and is told what it may not"],
    ["unit/infra/roles.test.ts", "are all that is sent by somebody, and nothing else"],
    [
      "unit/infra/iam.test.ts",
      "let the exporter write, the retriever restore and the collector delete, and no other",
    ],
  ],
  "identifiers quoted, schema-qualified, search_path pinned": [
    [
      "security/shadows.test.ts",
      "temporary tables with the server's names, and the source's, are in nobody's way: $what",
    ],
    ["support/partitioned-logs.ts", "other schemas and hostile names"],
  ],
  "`when` predicates cannot write or read other tables": [
    ["postgres/describe-hazards.ts", "a volatile function"],
    ["postgres/describe-hazards.ts", "a subquery"],
    ["postgres/describe-hazards.ts", "a second statement"],
  ],
  "endpoints from config only, no redirects followed": [
    ["unit/archive/guarded-lookup.test.ts", "what leads to a link-local address is refused: %s"],
    ["unit/archive/s3-wire.test.ts", "a redirect to where machines keep credentials is not followed"],
    ["unit/policy-readers.test.ts", "on another store has an endpoint without path"],
  ],
  "object keys from encoded identifiers": [
    ["conformance/object-key.test.ts", "no legal key resolves to a place outside of the root"],
    [
      "conformance/object-key.test.ts",
      "is one legal segment, bounded, without capitals, and hidden from nobody",
    ],
  ],
  "secrets redacted": [
    ["security/canaries.test.ts", "are in nothing that is printed, while all goes well"],
    ["security/canaries.test.ts", "are in nothing that is printed, while everything fails"],
    ["security/canaries.test.ts", "are in no row of the catalog, no object and no file"],
  ],
  "CSV: cells that begin with = + - @ TAB CR are prefixed, raw mode explicit": [
    ["unit/retrieve/csv.test.ts", "never begins with what starts a formula, whatever the text"],
    ["unit/retrieve/csv.test.ts", "is as written down, guarded and raw"],
  ],
  "Parquet bombs: caps on footer, pages, ratio; rows from the manifest": [
    ["unit/parquet/bombs.test.ts", "of a million %s is E_FORMAT"],
    ["unit/parquet/bombs.test.ts", "that is larger than what two columns can need is not even read"],
    [
      "unit/parquet/damaged.test.ts",
      "in one bit, at any byte of it, is refused or has the rows that it should have",
    ],
    ["unit/parquet/damaged.test.ts", "is refused: other columns, other row groups, other rows"],
  ],
  "retrieval is itself audited: who, range, filter, rows, when": [
    ["postgres/catalog-retrievals.test.ts", "is recorded before it reads: who, which range, which filter"],
    ["postgres/retrieve.test.ts", "is itself in the journal after the next run, and a refused one is not"],
  ],
  "supply chain: lockfile, few dependencies, SBOM": [
    [
      "security/supply-chain.test.ts",
      "the lockfile has a hash of each package, and none from outside of a registry",
    ],
    ["security/supply-chain.test.ts", "a bill of materials comes with npm, without the network"],
  ],
};

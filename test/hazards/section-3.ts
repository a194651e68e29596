/**
 * Bad input that must be answered with a clear error, as the list of hazards has it: each code with all of its cases.
 * Tests hold their own tables against this one, so that no case is left out.
 */
export const SECTION_3 = {
  E_KEY: ["none", "nullable", "partial", "deferrable", "invalid", "expression"],
  E_RELATION: ["view", "foreign", "unlogged", "temporary", "inherited"],
  E_TYPE: ["unsupported", "row over 1 GB", "NULL times", "SQL_ASCII"],
  E_VISIBILITY: ["RLS without bypass", "missing SELECT", "missing DELETE"],
  E_SIDE_EFFECT: ["cascades", "delete triggers", "rules", "publication with deletes"],
  E_DETACH: ["DEFAULT partition", "pending FINALIZE"],
  E_SERVER: ["standby", "leftover prepared transactions", "collation mismatch", "fsync=off"],
  E_POLICY: [
    "retention below the floor",
    "a plain timestamp without source.zone",
    "a rule after one that matches all",
    "two pipelines on one table",
    "a predicate that is not immutable",
    "batch <= 0",
    "a first run over too many days without --backfill",
  ],
  E_BUCKET: [
    "missing",
    "unversioned while the policy wants a lock",
    "wrong region",
    "expiration rule over the prefix",
    "disabled KMS key",
    "another owner",
    "no conditional PUT",
    "checksums rejected",
  ],
  E_CAPACITY: ["over 10,000 parts", "temp space"],
  E_CLOCK: ["skew over 60 s between database, host and store"],
  E_INPUT: ["unknown config key", "malformed dates", "reversed dates"],
  E_FORMAT: ["unknown manifest version", "foreign Parquet"],
} as const;

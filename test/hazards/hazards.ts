/**
 * Where each hazard is held: what can lose data in "export, verify, delete", and the tests that build it. `hazards.test.ts`
 * looks that the tests are there, and that those of the database run on the newest and on the oldest server.
 */

/** A file below `test/`, and the title of a test in it as it is written there. */
export type Held = readonly [file: string, title: string];

export interface Hazard {
  readonly what: string;
  readonly held: readonly Held[];
  /** Why no server of Postgres has a part in it; else it is shown on 18 and on 15. */
  readonly withoutPostgres?: string;
  /** It can be seen before anything moves. */
  readonly doctor?: {
    /** The section of a file of `test/golden/` that has what doctor prints, or a test that looks at it. */
    readonly golden?: readonly [file: string, section: string];
    readonly test?: Held;
    /** Why there is nothing to paste. */
    readonly nothingToPaste?: string;
  };
}

const ROWS = "hazards/rows-that-move.test.ts";
const DEFINITIONS = "hazards/definitions.test.ts";
const PARTITIONS = "hazards/partitions.test.ts";
const HISTORIES = "hazards/histories.test.ts";
const VALUES = "hazards/values.test.ts";
/** On 15 to 18, in the same words: by `describe.test.ts` and `majors.test.ts`. */
const REFUSALS = "postgres/describe-hazards.ts";
const SERVERS = "postgres/doctor-server.test.ts";

export const HAZARDS: Readonly<Record<string, Hazard>> = {
  1: {
    what: "rows that come into a pruned range are invisible",
    held: [
      [ROWS, "that come into a pruned range, late, moved or prepared, are found at once and archived (1)"],
      [
        "postgres/flow-rules.test.ts",
        "go into a further segment at the next run, and are retrieved before and after it",
      ],
      [
        "faults/server-crash.test.ts",
        "that inserts into a day which is pruned meanwhile is seen once it is committed",
      ],
    ],
  },
  2: {
    what: "COMMIT's reply is lost, and the retry that deletes nothing looks like drift",
    held: [
      [ROWS, "whose deleting COMMIT loses its reply are deleted once, and no drift is seen (2)"],
      ["faults/connection.test.ts", "(%s, number %i) whose %s is lost is done, and never done twice"],
      [
        "postgres/catalog-segments.test.ts",
        "of a wholly pruned segment finds them pruned: a COMMIT whose reply was lost looks like this (hazard 2)",
      ],
    ],
  },
  3: {
    what: "the catalog is restored older than the table",
    held: [
      [
        HISTORIES,
        "that is older than the archive's stops everything until it is rebuilt; then nothing is lost (3, 5)",
      ],
      ["postgres/flow-ownership.test.ts", "restored from a backup stops the run, again and again"],
      ["postgres/retrieve-refused.test.ts", "a control schema that is older than the archive (fault 20)"],
    ],
    doctor: {
      golden: ["doctor-findings.txt", "a control schema from before the first run"],
      nothingToPaste: "whether it was a restore, a person has to say; the command stands in the message",
    },
  },
  4: {
    what: "a clone or a restored copy shares the bucket",
    held: [
      [HISTORIES, "that a copy of the database has stops the copy, and the owner goes on (4)"],
      [HISTORIES, "has the same identity; the first to run goes on, the other one stops (4)"],
      ["postgres/repair-adopt.test.ts", "of two that adopt at once one wins"],
    ],
    doctor: {
      test: ["postgres/doctor.test.ts", "of another database, or of another folder, is refused (hazard 4)"],
      nothingToPaste: "which of the two owns the archive, a person has to say",
    },
  },
  5: {
    what: "garbage collection trusts a commit that was later lost",
    held: [
      [
        HISTORIES,
        "that is older than the archive's stops everything until it is rebuilt; then nothing is lost (3, 5)",
      ],
      ["postgres/repair-collect.test.ts", "from a database that does not own the archive, or is behind it"],
      [
        "postgres/repair-collect.test.ts",
        "go when they were seen twice, the recovery window apart, and the journal says so",
      ],
    ],
  },
  6: {
    what: "TRUNCATE or a rewriting ALTER after the snapshot reads as zero rows",
    held: [
      [DEFINITIONS, "that is %s between the plan and the export is an error, and no empty manifest (6, 8)"],
      ["postgres/flow-definition.test.ts", "that %s makes an error and no empty manifest"],
    ],
  },
  7: {
    what: "a partition is detached and dropped after the catalog was read",
    held: [
      [
        PARTITIONS,
        "that a person drops under an open retrieval is waited for, or the answer is refused: never half of it (7)",
      ],
      ["postgres/partitions-leaving.test.ts", "again and again while a run drops one leaf after the other"],
      ["postgres/partitions-leaving.test.ts", "or is refused while the leaf is being dropped"],
    ],
  },
  8: {
    what: "no rows: a NULL digest, which <> accepts",
    held: [
      [DEFINITIONS, "that is %s between the plan and the export is an error, and no empty manifest (6, 8)"],
      ["postgres/flow-drift.test.ts", "rows that are all gone are given up, and their tombstones name them"],
    ],
  },
  9: {
    what: "inheritance: a DELETE on the parent drops children's extra columns",
    held: [
      [DEFINITIONS, "that gets children keeps their columns: nothing is deleted through the parent (9)"],
      [REFUSALS, "a table that others inherit from (hazard 9)"],
    ],
    doctor: {
      golden: ["refusals.txt", "a table that others inherit from (hazard 9)"],
      nothingToPaste: "where the children's columns go, a person has to say",
    },
  },
  10: {
    what: "ON DELETE CASCADE, SET NULL or SET DEFAULT erases or changes unarchived children",
    held: [
      [
        DEFINITIONS,
        "in whose way a cascade, a trigger or row-level security comes while a run is at it loses nothing to it (10, 12, 20)",
      ],
      [REFUSALS, "ON DELETE CASCADE"],
      [REFUSALS, "ON DELETE SET NULL"],
      [REFUSALS, "ON DELETE SET DEFAULT"],
    ],
    doctor: { golden: ["refusals.txt", "ON DELETE CASCADE"] },
  },
  11: {
    what: "an index misses an entry: export and delete agree, and DROP loses the row",
    held: [
      [PARTITIONS, "of which an index misses a row is not dropped: rows are counted without it (11)"],
      [SERVERS, "with indexes that another version of the collation has sorted is refused (hazard 11)"],
      [
        "postgres/partitions-drift.test.ts",
        "a row that an index misses is not lost with the leaf (hazard 11)",
      ],
    ],
    doctor: { golden: ["doctor-server.txt", "a database sorted by an older library"] },
  },
  12: {
    what: "row-level security hides the same rows from both sides",
    held: [
      [
        DEFINITIONS,
        "in whose way a cascade, a trigger or row-level security comes while a run is at it loses nothing to it (10, 12, 20)",
      ],
      [REFUSALS, "row-level security"],
      [REFUSALS, "row-level security that is forced on the owner"],
    ],
    doctor: { golden: ["refusals.txt", "row-level security"] },
  },
  13: {
    what: "content changes while the key stays",
    held: [
      [DEFINITIONS, "of which, after the export, %s: nothing is deleted before it is archived anew (13)"],
      ["postgres/flow-definition.test.ts", "%s, while the run is at it"],
      [
        "postgres/describe.test.ts",
        "gives the same fingerprint again, and another one after a change of the definition (hazard 13)",
      ],
    ],
  },
  14: {
    what: "the object disappears after the seal",
    held: [
      ["postgres/flow-damage.test.ts", "removed while the run deletes: the rest stays"],
      [
        "s3/store-pipeline.test.ts",
        "refuses a bucket whose rule would delete what is archived (hazard 14), and writes nothing",
      ],
      [
        "s3/store-doctor.test.ts",
        "rules that delete what is ours are findings, rules that move it advice, others neither",
      ],
    ],
    withoutPostgres: "what is looked at is the store",
    doctor: {
      golden: ["bad-store.txt", "E_BUCKET: expiration rule over the prefix"],
      nothingToPaste: "S3 takes all rules of a bucket at once, and the others are not ours",
    },
  },
  15: {
    what: "a key is used again after its row was pruned",
    held: [
      [ROWS, "whose key is used again after they were pruned both come out, and the same row once (15)"],
      [
        "postgres/retrieve.test.ts",
        "both come out where a key was used again with other content (hazard 15)",
      ],
    ],
  },
  16: {
    what: "rows hit 1 GB; xids come again after a storage restore",
    held: [
      [VALUES, "of more than Postgres can send at once keep their day where it is, and no other (16)"],
      ["faults/long-run.test.ts", "a row larger than any chunk goes all the same"],
      [
        "postgres/repair-adopt.test.ts",
        "put back: a restore to a point in time loses nothing that was archived, and doubles nothing",
      ],
    ],
  },
  17: {
    what: "FROM ONLY on a partitioned parent reads and deletes nothing; a leaf need not be a day",
    held: [
      [PARTITIONS, "move whole wherever they can: $what (17)"],
      ["postgres/majors.test.ts", "moves whole native partitions: $what"],
      [
        "postgres/partitions-drop.test.ts",
        "whole leaves go wherever they can, and the archive is the same as row by row:",
      ],
      ["postgres/partitions-leaving.test.ts", "a row of a day that nothing was archived of (hazard 17)"],
    ],
  },
  "17b": {
    what: "tombstones applied by key hide rows that moved to another rule or day",
    held: [
      [
        ROWS,
        "that are changed, moved or erased in the middle of a sealed segment are no tombstones but the erased (17b, 17c, 21)",
      ],
      ["postgres/flow-drift.test.ts", "the rows that a DELETE hands back are not the archived ones:"],
    ],
  },
  "17c": {
    what: "one progress counter a segment cannot express drift in the middle",
    held: [
      [
        ROWS,
        "that are changed, moved or erased in the middle of a sealed segment are no tombstones but the erased (17b, 17c, 21)",
      ],
      [
        "postgres/catalog-superseded.test.ts",
        "of a segment pruned in part leaves that one warm, and readers its pruned chunks",
      ],
    ],
  },
  "17d": {
    what: "a control schema lost alone: pruned chunks look unpruned, their rows vanish",
    held: [
      [HISTORIES, "that is lost alone, in a run that was cut at %s, is rebuilt, and no row vanishes (17d)"],
      ["postgres/repair-unknown.test.ts", "rows are read from both tiers, and found where they are"],
    ],
    doctor: {
      golden: ["doctor-findings.txt", "a lost control schema"],
    },
  },
  18: {
    what: "client_encoding changes bytes; SQL_ASCII has none",
    held: [
      [DEFINITIONS, "of a database with other settings has the same bytes (18, 28)"],
      ["hazards/bad-server.ts", "SQL_ASCII"],
      ["postgres/describe-server.test.ts", "really is with encoding %s and a key of type %s (hazard 18)"],
    ],
    doctor: {
      golden: ["bad-input.txt", "E_TYPE: SQL_ASCII"],
      nothingToPaste:
        "a database's encoding cannot be changed, and what its texts mean nobody but its owner knows",
    },
  },
  19: {
    what: "generated columns, other column order in partitions, a column named like an alias",
    held: [
      [
        DEFINITIONS,
        "with a dropped, a generated, an enum, a composite and a domain column moves without loss (19)",
      ],
      [DEFINITIONS, "whose names are SQL, and Firnline's own, moves by rules over them (19)"],
      [PARTITIONS, "move whole wherever they can: $what (17)"],
      [REFUSALS, "a virtual generated column"],
    ],
    doctor: {
      golden: ["refusals.txt", "a virtual generated column"],
      nothingToPaste: "stored or dropped, a person has to say; storing it rewrites the table",
    },
  },
  20: {
    what: "triggers, rules and replication of deletes",
    held: [
      [
        DEFINITIONS,
        "in whose way a cascade, a trigger or row-level security comes while a run is at it loses nothing to it (10, 12, 20)",
      ],
      [REFUSALS, "a trigger before DELETE (hazard 20)"],
      [REFUSALS, "a trigger after any statement, and one that fires on replicas only"],
      [REFUSALS, "a rule on DELETE"],
      [REFUSALS, "a publication of the table"],
      [REFUSALS, "a publication of all tables"],
      [REFUSALS, "a publication of the schema"],
    ],
    doctor: { golden: ["refusals.txt", "a trigger before DELETE (hazard 20)"] },
  },
  21: {
    what: "an erasure by the application after the export looks like drift",
    held: [
      [
        ROWS,
        "that are changed, moved or erased in the middle of a sealed segment are no tombstones but the erased (17b, 17c, 21)",
      ],
      ["postgres/flow-drift.test.ts", "rows that are all gone are given up, and their tombstones name them"],
    ],
  },
  22: {
    what: "tampering; masked values guessed from their digests",
    held: [
      ["postgres/outsider.test.ts", "finds the place when %s"],
      [
        "postgres/outsider.test.ts",
        "cannot see that the journal was cut off or written anew, but the head differs from the one that was noted",
      ],
      ["postgres/flow-damage.test.ts", "edited to match other rows: nothing is deleted"],
      ["postgres/repair-verify.test.ts", "a changed entry is found at the next one"],
      [
        "s3/locks.test.ts",
        "%s: everything of the archive is locked before the rows go, and nobody can delete a version",
      ],
    ],
    withoutPostgres: "what is looked at is the archive alone",
  },
  23: {
    what: "a restored copy expires between two ranged GETs",
    held: [
      [
        "postgres/restores.test.ts",
        "before the last one comes is asked to stay longer, and that is told and recorded",
      ],
      ["postgres/restores.test.ts", "in the middle of the read %s (fault 31)"],
    ],
    withoutPostgres: "what expires is the store's",
  },
  24: {
    what: "compaction, expiry or supersession races a reader; a long snapshot blocks writers",
    held: [
      ["faults/retrieve-races.test.ts", "moves every row under it, and every answer has each row once"],
      [
        "postgres/expiry.test.ts",
        "after its intent too is what a reader pinned in time: nothing is removed under it",
      ],
      ["postgres/expiry.test.ts", "is what a retrieval reads, until it has read it"],
      [
        "postgres/repair-collect.test.ts",
        "stay while a retrieval reads them; one that never ended is taken for dead after the window",
      ],
      [
        HISTORIES,
        "that is older than the archive's stops everything until it is rebuilt; then nothing is lost (3, 5)",
      ],
    ],
  },
  25: {
    what: "a row that drifts for ever",
    held: [
      [
        ROWS,
        "that change for ever are given up after three attempts, said each night, and tried again when asked (25)",
      ],
      [
        "cli/exit-codes.test.ts",
        "3 when rows change faster than they can be moved: they stay, and are named (%s)",
      ],
    ],
  },
  26: {
    what: "DETACH CONCURRENTLY cannot join the catalog's transaction",
    held: [
      [PARTITIONS, "whose run ends at %s is part of every answer, and the next run finishes it (26)"],
      [PARTITIONS, "that a killed run left half detached is finished by the next one (26)"],
      [PARTITIONS, "that another session left half detached is named, with the statement that ends it (26)"],
      ["postgres/partitions-leaving.test.ts", "while the run stands still at %s"],
    ],
    doctor: { golden: ["bad-input.txt", "E_DETACH: pending FINALIZE"] },
  },
  27: {
    what: "lifecycle transitions lag and can hit a verification",
    held: [
      [
        "postgres/transition-modes.test.ts",
        "an object is tagged, waited for without a step, and confirmed under the same pin",
      ],
      [
        "postgres/transition-modes.test.ts",
        "an object that somebody moved to %s while the catalog calls it warm is journaled as what it is",
      ],
      [
        "postgres/repair-verify.test.ts",
        "deep, every value that can be read is read; what is cold is unverified, and not bad (hazard 27)",
      ],
    ],
    withoutPostgres: "what is asked is the store",
  },
  28: {
    what: "a session's zone moves days; infinity and NULL are in no day; JS loses microseconds and int8",
    held: [
      [
        VALUES,
        "of a time: the microseconds around midnight, and what is in no day at all, which stays and is told (28)",
      ],
      [DEFINITIONS, "of a database with other settings has the same bytes (18, 28)"],
      ["postgres/flow-time.test.ts", "is cut at midnight UTC, across both changes of the clock"],
    ],
    doctor: { golden: ["doctor-advice.txt", "rows without a day"] },
  },
  29: {
    what: "transaction poolers break session locks",
    held: [
      [ROWS, "move through a transaction pooler, whole leaves too: no session keeps anything (29)"],
      ["postgres/catalog-lease.test.ts", "goes to exactly one of twenty that ask at the same time"],
    ],
  },
  30: {
    what: "a long snapshot holds back vacuum; an orphaned prepared transaction blocks everything",
    held: [
      [SERVERS, "that was left over is refused, with its name and age (hazard 30, fault 39)"],
      [
        "postgres/flow-drift.test.ts",
        "a lock that is not let go of fails the run, and deletes nothing of that chunk",
      ],
      [
        "postgres/partitions-leaving.test.ts",
        "is waited for so long and no longer; the next run goes on where this one stopped",
      ],
    ],
    doctor: { golden: ["doctor-server.txt", "a prepared transaction on the table"] },
  },
};

/** Forms of tables and values that a hazard can take, whichever one it is. All are shown on 18 and on 15. */
export const FORMS: Readonly<Record<string, readonly Held[]>> = {
  "a DEFAULT partition": [
    [
      PARTITIONS,
      "beside a DEFAULT partition goes in the plain way, and what the DEFAULT holds goes by rows (17, 26)",
    ],
  ],
  "sub-partitions": [["postgres/majors.test.ts", "moves whole native partitions: $what"]],
  "a partition that is half detached": [
    [PARTITIONS, "that another session left half detached is named, with the statement that ends it (26)"],
  ],
  "composite keys, text keys with odd collations, bigint edges": [
    [VALUES, "of a key $what: each row is in one chunk, and comes back"],
  ],
  "microsecond edges, infinities, NULL times": [
    [
      VALUES,
      "of a time: the microseconds around midnight, and what is in no day at all, which stays and is told (28)",
    ],
  ],
  "NaN and every other value": [["postgres/majors.test.ts", "keeps every byte of every type"]],
  "1 GB limits": [
    [VALUES, "of more than Postgres can send at once keep their day where it is, and no other (16)"],
  ],
  "quoted and hostile identifiers": [
    [DEFINITIONS, "whose names are SQL, and Firnline's own, moves by rules over them (19)"],
    [PARTITIONS, "move whole wherever they can: $what (17)"],
  ],
  "row-level security": [[REFUSALS, "row-level security"]],
  "generated columns, dropped columns, domains": [
    [
      DEFINITIONS,
      "with a dropped, a generated, an enum, a composite and a domain column moves without loss (19)",
    ],
  ],
  "virtual generated columns (18 has them)": [[REFUSALS, "a virtual generated column"]],
  publications: [[REFUSALS, "a publication of a partition in between"]],
  "prepared transactions": [
    [ROWS, "that come into a pruned range, late, moved or prepared, are found at once and archived (1)"],
  ],
};

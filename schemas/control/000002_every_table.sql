-- Native partitions, drift, repair.

-- Which table a segment's rows were in: a leaf of the partitioned source. NULL: the source is a plain table.
ALTER TABLE firnline.segment ADD COLUMN leaf_oid text, ADD COLUMN leaf_schema text, ADD COLUMN leaf_name text;
-- A segment that replaces chunks of others. Left unfinished by a crash it is given up, as what it replaces may have
-- changed since.
ALTER TABLE firnline.segment ADD COLUMN replaces boolean NOT NULL DEFAULT false;
ALTER TABLE firnline.segment DROP CONSTRAINT segment_state_check;
ALTER TABLE firnline.segment ADD CONSTRAINT segment_state_check CHECK (state IN (
  'exporting', 'uploaded', 'sealed', 'pruning', 'warm', 'cooling', 'cold', 'abandoned', 'superseded'));

-- A wholly pruned segment keeps its chunks here while some of them are superseded: readers take the pruned ones only.
ALTER TABLE firnline.chunk DROP CONSTRAINT chunk_state_check;
ALTER TABLE firnline.chunk ADD CONSTRAINT chunk_state_check CHECK (state IN (
  'exported', 'sealed', 'pruned', 'superseded', 'quarantined', 'unknown'));

-- Leaves on their way out: detached from the source, or about to be, and still holding rows that readers must see.
CREATE TABLE firnline.detaching (
  pipeline text NOT NULL REFERENCES firnline.pipeline,
  leaf_oid text NOT NULL,
  leaf_schema text NOT NULL,
  leaf_name text NOT NULL,
  -- what it is detached from, and its bound as pg_get_expr prints it, to attach the leaf again
  parent_schema text NOT NULL,
  parent_name text NOT NULL,
  bound text NOT NULL,
  -- the limits in time of its rows, in microseconds since 1970
  range_from bigint NOT NULL,
  range_to bigint NOT NULL,
  since timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (pipeline, leaf_oid)
);

-- Objects that nothing names any more, when they were first seen: they are removed when they are seen again after the
-- recovery window.
CREATE TABLE firnline.garbage (
  pipeline text NOT NULL REFERENCES firnline.pipeline,
  key text NOT NULL,
  version_id text NOT NULL DEFAULT '',
  bytes bigint NOT NULL,
  first_seen timestamptz NOT NULL,
  PRIMARY KEY (pipeline, key, version_id)
);

-- Of a chunk in state unknown: whether the journal calls it pruned. Then its rows are in the archive whatever is found
-- in the table; if not, the table decides.
ALTER TABLE firnline.chunk ADD COLUMN was_pruned boolean NOT NULL DEFAULT false;

-- What the runs of each UTC day did, and how large the tiers were after the last of them: for `status --history`. A row
-- is written when a run finishes; the newest 400 days of each pipeline are kept. Nothing else reads it.
CREATE TABLE firnline.history (
  pipeline text NOT NULL REFERENCES firnline.pipeline,
  day date NOT NULL,
  runs int NOT NULL,
  rows_archived bigint NOT NULL,
  rows_pruned bigint NOT NULL,
  -- by delete-only rules
  rows_deleted bigint NOT NULL,
  -- of the table with its indexes; NULL where no run of the day ended in a way that it could be measured
  hot_rows bigint,
  hot_bytes bigint,
  -- of the objects that the archive holds
  warm_bytes bigint NOT NULL,
  cold_bytes bigint NOT NULL,
  PRIMARY KEY (pipeline, day)
);

-- Firnline's control schema: checkpoints that commit together with the deletes, and a cache of the archive's journal.
-- Migrations are append-only: never edit this file once it was released.

CREATE TABLE firnline.pipeline (
  pipeline text PRIMARY KEY,
  archive_id uuid NOT NULL,
  archive_url text NOT NULL,
  -- {systemIdentifier, databaseOid, tableOid} of the table that this archive belongs to
  source jsonb NOT NULL,
  -- the policy as last applied and journaled
  policy jsonb,
  -- one writer: a lease with an epoch that only grows; no session lock, so a transaction pooler is fine
  lease_run text,
  lease_holder jsonb,
  lease_epoch bigint NOT NULL DEFAULT 0,
  lease_expires_at timestamptz NOT NULL DEFAULT '-infinity',
  -- head of the journal as this database knows it
  journal_n bigint NOT NULL DEFAULT 0,
  journal_sha256 text NOT NULL DEFAULT repeat('0', 64),
  created_at timestamptz NOT NULL DEFAULT now()
);

-- A table has one pipeline: two would each answer with half of its rows.
CREATE UNIQUE INDEX pipeline_by_source ON firnline.pipeline (source);

CREATE SEQUENCE firnline.segment_sequence;

CREATE TABLE firnline.segment (
  pipeline text NOT NULL REFERENCES firnline.pipeline,
  segment text NOT NULL,
  state text NOT NULL CHECK (state IN ('exporting', 'uploaded', 'sealed', 'pruning', 'warm', 'cooling', 'cold', 'abandoned')),
  rule text NOT NULL,
  day_from date NOT NULL,
  day_to date NOT NULL,
  rows bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0,
  storage_class text NOT NULL,
  -- the object's pin, without the key, which follows from the columns above
  version_id text,
  etag text,
  sha256 bytea,
  -- the manifest's pin
  manifest_sha256 bytea,
  manifest_bytes bigint NOT NULL DEFAULT 0,
  manifest_version_id text,
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (pipeline, segment)
);
CREATE INDEX segment_by_day ON firnline.segment (pipeline, day_from, day_to);
CREATE INDEX segment_unfinished ON firnline.segment (pipeline) WHERE state IN ('exporting', 'uploaded', 'sealed', 'pruning', 'cooling');

-- Chunks stand here only while their segment is not wholly pruned.
CREATE TABLE firnline.chunk (
  pipeline text NOT NULL,
  segment text NOT NULL,
  chunk int NOT NULL,
  state text NOT NULL CHECK (state IN ('exported', 'sealed', 'pruned')),
  rows int NOT NULL CHECK (rows > 0),
  PRIMARY KEY (pipeline, segment, chunk),
  FOREIGN KEY (pipeline, segment) REFERENCES firnline.segment
);

-- The manifest of an uploaded segment, until it is sealed: what a crash in between would lose otherwise.
CREATE TABLE firnline.draft (
  pipeline text NOT NULL,
  segment text NOT NULL,
  manifest bytea NOT NULL,
  PRIMARY KEY (pipeline, segment),
  FOREIGN KEY (pipeline, segment) REFERENCES firnline.segment
);

-- Journal entries that are decided but not yet numbered. They are published in order; a crash leaves them here.
CREATE TABLE firnline.outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pipeline text NOT NULL REFERENCES firnline.pipeline,
  entry_id uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
  run text NOT NULL,
  epoch bigint NOT NULL,
  at text NOT NULL,
  -- deletions of one segment or one day accumulate in one entry
  merge_key text,
  event jsonb NOT NULL
);
CREATE UNIQUE INDEX outbox_merge ON firnline.outbox (pipeline, merge_key);

CREATE TABLE firnline.run (
  pipeline text NOT NULL REFERENCES firnline.pipeline,
  run text NOT NULL,
  epoch bigint NOT NULL,
  as_of timestamptz NOT NULL,
  state text NOT NULL CHECK (state IN ('running', 'done', 'partly', 'failed', 'interrupted')),
  started_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  summary jsonb,
  error text,
  PRIMARY KEY (pipeline, run)
);
CREATE INDEX run_by_start ON firnline.run (pipeline, started_at DESC);

CREATE TABLE firnline.retrieval (
  retrieval uuid PRIMARY KEY,
  pipeline text NOT NULL REFERENCES firnline.pipeline,
  requested_by text NOT NULL,
  range_from timestamptz NOT NULL,
  range_to timestamptz NOT NULL,
  filter jsonb NOT NULL,
  state text NOT NULL CHECK (state IN ('restoring', 'reading', 'done', 'failed')),
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  rows bigint,
  sha256 text,
  error text
);
CREATE INDEX retrieval_by_creation ON firnline.retrieval (pipeline, created_at DESC);

-- Segments that a retrieval reads: whoever removes objects honours these.
CREATE TABLE firnline.pin (
  retrieval uuid NOT NULL REFERENCES firnline.retrieval,
  pipeline text NOT NULL,
  segment text NOT NULL,
  PRIMARY KEY (retrieval, pipeline, segment),
  FOREIGN KEY (pipeline, segment) REFERENCES firnline.segment
);

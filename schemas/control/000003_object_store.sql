-- Buckets: transitions that a rule of the bucket makes, restores, holds, expiry.

ALTER TABLE firnline.segment DROP CONSTRAINT segment_state_check;
ALTER TABLE firnline.segment ADD CONSTRAINT segment_state_check CHECK (state IN (
  'exporting', 'uploaded', 'sealed', 'pruning', 'warm', 'cooling', 'cold', 'expiring', 'expired', 'abandoned',
  'superseded'));
-- When its object got the tag on which the bucket's rule acts; NULL where it is copied in place.
ALTER TABLE firnline.segment ADD COLUMN tagged_at timestamptz;
DROP INDEX firnline.segment_unfinished;
CREATE INDEX segment_unfinished ON firnline.segment (pipeline)
  WHERE state IN ('exporting', 'uploaded', 'sealed', 'pruning', 'cooling', 'expiring');

-- Days of which nothing may be removed, whatever the policy says.
CREATE TABLE firnline.hold (
  hold uuid PRIMARY KEY,
  pipeline text NOT NULL REFERENCES firnline.pipeline,
  -- both included
  day_from date NOT NULL,
  day_to date NOT NULL CHECK (day_to >= day_from),
  reason text NOT NULL,
  placed_by text NOT NULL,
  placed_at timestamptz NOT NULL,
  released_by text,
  release_reason text,
  released_at timestamptz
);
CREATE INDEX hold_in_force ON firnline.hold (pipeline) WHERE released_at IS NULL;

-- Restored copies of cold objects that were asked for: once, however many retrievals wait for them.
CREATE TABLE firnline.restore (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pipeline text NOT NULL,
  segment text NOT NULL,
  requested_by text NOT NULL,
  requested_at timestamptz NOT NULL,
  -- the first retrieval that wanted it; NULL where it was asked for alone
  retrieval uuid,
  -- both NULL where the store was at it already when it was first looked at: somebody else asked
  tier text CHECK (tier IN ('Expedited', 'Standard', 'Bulk')),
  days int CHECK (days > 0),
  bytes bigint NOT NULL,
  storage_class text NOT NULL,
  -- asked: recorded before the store was touched
  state text NOT NULL CHECK (state IN ('asked', 'restoring', 'readable', 'expired', 'failed')),
  -- when it became readable; before that, when it is expected to
  ready_at timestamptz,
  until timestamptz,
  error text,
  FOREIGN KEY (pipeline, segment) REFERENCES firnline.segment
);
-- One at a time: two would be paid for twice.
CREATE UNIQUE INDEX restore_under_way ON firnline.restore (pipeline, segment)
  WHERE state IN ('asked', 'restoring', 'readable');
CREATE INDEX restore_by_request ON firnline.restore (pipeline, id DESC);

-- What keeps a segment: the instant that ages were counted from when it was archived (a late one gets some time before it
-- expires), and the lock and the legal hold that both of its objects were last seen to have. NULL: not known.
ALTER TABLE firnline.segment
  ADD COLUMN archived_as_of timestamptz,
  ADD COLUMN lock_mode text CHECK (lock_mode IN ('GOVERNANCE', 'COMPLIANCE')),
  ADD COLUMN locked_until timestamptz,
  ADD COLUMN legal_hold boolean DEFAULT false;
-- Rows of segments that expired.
ALTER TABLE firnline.history ADD COLUMN rows_expired bigint NOT NULL DEFAULT 0;

-- What segments must have in common to be packed into one: see src/segment/shape.ts. NULL: uploaded by an older version.
ALTER TABLE firnline.segment ADD COLUMN shape text;

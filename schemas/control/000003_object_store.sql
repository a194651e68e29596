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
  pipeline text NOT NULL,
  segment text NOT NULL,
  requested_by text NOT NULL,
  requested_at timestamptz NOT NULL,
  -- the first retrieval that wanted it; NULL where it was asked for alone
  retrieval uuid,
  tier text NOT NULL CHECK (tier IN ('Expedited', 'Standard', 'Bulk')),
  days int NOT NULL,
  bytes bigint NOT NULL,
  -- asked: recorded before the store was touched
  state text NOT NULL CHECK (state IN ('asked', 'restoring', 'readable', 'expired', 'failed')),
  ready_at timestamptz,
  until timestamptz,
  error text,
  PRIMARY KEY (pipeline, segment, requested_at),
  FOREIGN KEY (pipeline, segment) REFERENCES firnline.segment
);
CREATE INDEX restore_under_way ON firnline.restore (pipeline) WHERE state IN ('asked', 'restoring', 'readable');

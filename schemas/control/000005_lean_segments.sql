-- A row of firnline.segment stays for ever, so it is made smaller: under 300 bytes with its indexes in a folder's archive.

-- The hash and the ETag of an object stand in its manifest, whose own hash is here. Nobody asked when a row was changed.
ALTER TABLE firnline.segment DROP COLUMN sha256, DROP COLUMN etag, DROP COLUMN changed_at;

-- Numbers between texts cost padding: they stand together at the end. A manifest is read as a whole, far below 2 GiB.
DROP INDEX firnline.segment_by_day;
ALTER TABLE firnline.segment RENAME COLUMN archived_as_of TO archived_as_of_before;
ALTER TABLE firnline.segment RENAME COLUMN manifest_bytes TO manifest_bytes_before;
ALTER TABLE firnline.segment RENAME COLUMN replaces TO replaces_before;
ALTER TABLE firnline.segment RENAME COLUMN legal_hold TO legal_hold_before;
ALTER TABLE firnline.segment
  ADD COLUMN archived_as_of timestamptz,
  ADD COLUMN manifest_bytes int NOT NULL DEFAULT 0,
  ADD COLUMN replaces boolean NOT NULL DEFAULT false,
  ADD COLUMN legal_hold boolean DEFAULT false;
UPDATE firnline.segment SET archived_as_of = archived_as_of_before, manifest_bytes = manifest_bytes_before,
  replaces = replaces_before, legal_hold = legal_hold_before;
ALTER TABLE firnline.segment
  DROP COLUMN archived_as_of_before,
  DROP COLUMN manifest_bytes_before,
  DROP COLUMN replaces_before,
  DROP COLUMN legal_hold_before;

-- Bytes instead of their digits. This writes the table anew, without what was dropped above.
ALTER TABLE firnline.segment ALTER COLUMN shape TYPE bytea USING decode(shape, 'hex');

-- Pipelines have the same days, which the index then has once. Few databases have more than a few of them.
CREATE INDEX segment_by_day ON firnline.segment (day_from, day_to);

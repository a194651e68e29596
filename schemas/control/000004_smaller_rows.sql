-- A segment's shape is told by 16 digits of its hash instead of 64: it stands in every row.
UPDATE firnline.segment SET shape = left(shape, 16) WHERE length(shape) > 16;

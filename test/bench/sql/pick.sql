-- A number below `count` that follows from `n` alone; another `seed` gives another one.
CREATE SCHEMA bench;
CREATE FUNCTION bench.pick(n bigint, seed bigint, count bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
  RETURN (hashint8extended(n, seed) & 9223372036854775807) % count;

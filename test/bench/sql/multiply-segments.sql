-- A catalog as of $2 segments: those of a real run, one a rule, again and again on earlier days, until there are so many.
-- What is older than a year is cold. $1 is the pipeline.
INSERT INTO firnline.segment
WITH original AS (
  SELECT to_jsonb(s) AS fields, day_from, day_to, row_number() OVER (ORDER BY segment) - 1 AS number, count(*) OVER () AS rules
  FROM firnline.segment s WHERE pipeline = $1
)
SELECT copy.*
FROM generate_series(0, $2::int - 1) n
  JOIN original ON number = n % rules,
  -- 10 years; more segments than that are several a day
  LATERAL (SELECT 1 + (n / rules)::int % 3650 AS back) b,
  LATERAL jsonb_populate_record(NULL::firnline.segment, fields || jsonb_build_object(
    'segment', lpad((1000000 + n)::text, 12, '0') || '-' || left(md5(n::text), 16),
    'day_from', day_from - back,
    'day_to', day_to - back,
    'state', CASE WHEN back > 330 THEN 'cold' ELSE 'warm' END,
    'storage_class', CASE WHEN back > 330 THEN 'DEEP_ARCHIVE' ELSE 'STANDARD' END)) copy

-- What Postgres itself thinks of the answer: every row ever inserted against every line that came back.
WITH answered AS (
  SELECT (line::jsonb ->> 'id')::bigint AS id, (line::jsonb ->> 'ts')::timestamptz AS ts, line::jsonb ->> 'action' AS action,
         line::jsonb ->> 'message' AS message, line::jsonb -> 'details' AS details
  FROM demo.answer
)
SELECT (SELECT count(*) FROM (SELECT * FROM demo.truth EXCEPT ALL SELECT * FROM answered) missing)::text AS lost,
       (SELECT count(*) FROM (SELECT * FROM answered EXCEPT ALL SELECT * FROM demo.truth) extra)::text AS duplicated,
       (SELECT count(*) FROM demo.truth)::text AS inserted

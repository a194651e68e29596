-- One UTC day of audit events. $1 day, $2 first id, $3 rows.
WITH source AS (
  SELECT $2::bigint + n AS id,
         hashint8($2::bigint + n)::bigint & 2147483647 AS luck,
         ($1::date::timestamp AT TIME ZONE 'UTC')
           + interval '1 microsecond' * ((86399999999::bigint * n) / greatest($3::bigint, 1) + (n * 7919) % 1000) AS ts
  FROM generate_series(0, $3::bigint - 1) n
),
event AS (
  SELECT id, ts, luck,
         (ARRAY['login', 'login', 'login', 'logout', 'login_failed', 'invoice.read', 'invoice.read', 'invoice.update',
                'invoice.export', 'user.invite', 'role.grant', 'role.revoke', 'api_key.create', 'api_key.use',
                'api_key.use', 'settings.update'])[1 + luck % 16] AS action,
         (ARRAY['amara', 'bjorn', 'chidi', 'dolores', 'emeka', 'farah', 'goran', 'hana', 'inge', 'joao'])[1 + luck % 10]
           AS actor
  FROM source
),
row_of_table AS (
  SELECT id, ts, action,
         CASE WHEN luck % 23 = 0 THEN NULL
              ELSE format('%s: %s on %s', actor, action, (ARRAY['web', 'mobile', 'api', 'console'])[1 + luck % 4]) END
           AS message,
         jsonb_build_object(
           'actor', actor || '@example.com',
           'ip', format('10.%s.%s.%s', luck % 7, luck % 251, luck % 239),
           'request_id', md5(id::text)::uuid,
           'status', CASE WHEN luck % 31 = 0 THEN 403 ELSE 200 END,
           'duration_ms', (luck % 4000) / 10.0,
           'target', format('invoice/%s', luck % 50000),
           'changes', CASE WHEN luck % 16 IN (7, 15)
                           THEN jsonb_build_array(jsonb_build_object('field', 'status', 'from', 'draft', 'to', 'sent'))
                           ELSE NULL END) AS details
  FROM event
),
remembered AS (
  INSERT INTO demo.truth SELECT * FROM row_of_table
)
INSERT INTO public.audit_logs SELECT * FROM row_of_table

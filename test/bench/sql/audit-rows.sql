-- $1 rows, numbered from 1, over $2 days from $3 on, in the order of time, by $4 actors of whom the first act most; about 560 bytes each as COPY BINARY, of which
-- zstd -3 leaves about a quarter, as of real audit rows. Nothing is random: the same numbers give the same rows.
WITH words AS (
  SELECT ARRAY['login','logout','login_failed','password_changed','token_issued','token_revoked','user_invited',
    'user_removed','role_granted','role_revoked','document_viewed','document_created','document_updated',
    'document_deleted','document_shared','comment_added','comment_removed','file_uploaded','file_downloaded',
    'export_requested','export_finished','invoice_created','invoice_paid','payment_failed','subscription_changed',
    'webhook_sent','webhook_failed','setting_changed','api_key_created','access_denied'] AS actions,
    ARRAY['document','invoice','project','report','account','folder','ticket','webhook'] AS kinds,
    ARRAY['draft','in_review','approved','rejected','archived','published','scheduled','cancelled'] AS states,
    ARRAY['GET','POST','PUT','PATCH','DELETE'] AS methods,
    ARRAY['eu-central-1','eu-west-1','us-east-1','us-west-2','ap-southeast-2'] AS regions,
    ARRAY['Windows NT 10.0; Win64; x64','Macintosh; Intel Mac OS X 14_5','X11; Linux x86_64','iPhone; CPU iPhone OS 17_5',
      'Linux; Android 14; Pixel 8'] AS devices
), draws AS (
  SELECT n::bigint AS id, r.actor, r.session, a[1 + bench.pick(n, 1, 30)] AS action,
         k[1 + r.resource % 8] AS kind, r.resource, w.*
  FROM generate_series(1, $1::bigint) n, words w,
       LATERAL (SELECT w.actions, w.kinds) x(a, k),
       LATERAL (SELECT floor(power($4::float8, bench.pick(n, 2, 1000000) / 1e6))::bigint AS actor,
                       bench.pick(n, 3, 50000) AS resource,
                       bench.pick(n, 4, 3) AS session) r
)
SELECT id,
       $3::timestamptz + ((id - 1) * ($2::float8 * 86390000000 / $1) + bench.pick(id, 5, 9000000))::bigint * interval '1 microsecond' AS ts,
       md5('actor' || actor)::uuid AS actor,
       action,
       kind || '/' || resource AS resource,
       ('10.' || bench.pick(actor, 6, 200) || '.' || bench.pick(actor, 7, 250) || '.' || bench.pick(actor * 3 + session, 8, 250))::inet AS ip,
       initcap(replace(action, '_', ' ')) || ' on ' || kind || ' ' || resource || ' by user ' || actor || ' within '
         || bench.pick(id, 9, 900) || ' ms' AS message,
       jsonb_build_object(
         'request_id', md5('request' || id)::uuid,
         'session', left(md5('session' || (actor * 3 + session)), 24),
         'method', methods[1 + bench.pick(id, 10, 5)],
         'path', '/api/v2/' || kind || 's/' || resource,
         'status', (ARRAY[200, 200, 200, 201, 204, 400, 403, 404])[1 + bench.pick(id, 11, 8)],
         'region', regions[1 + bench.pick(actor, 12, 5)],
         'user_agent', 'Mozilla/5.0 (' || devices[1 + bench.pick(actor, 13, 5)] || ') AppleWebKit/605 Version/' || 100 + bench.pick(actor, 14, 30))
       || CASE WHEN bench.pick(id, 15, 10) < 7 THEN jsonb_build_object('changes', jsonb_build_object(
         'state', jsonb_build_array(states[1 + bench.pick(id, 16, 8)], states[1 + bench.pick(id, 17, 8)]),
         'amount', jsonb_build_array(bench.pick(id, 18, 1000000) / 100.0, bench.pick(id, 19, 1000000) / 100.0),
         'etag', left(md5('etag' || id), bench.pick(id, 20, 33)::int))) ELSE '{}' END
       || CASE WHEN bench.pick(id, 21, 10) < 4 THEN jsonb_build_object('trace', jsonb_build_object(
         'id', md5('trace' || id), 'span', left(md5('span' || id), 16), 'sampled', bench.pick(id, 22, 2) = 0)) ELSE '{}' END AS details
FROM draws


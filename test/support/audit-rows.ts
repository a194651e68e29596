/** The table of source 1, and rows for it. */

/** Source 1's table, with its index. */
export const AUDIT_LOGS = `
  CREATE TABLE public.audit_logs (
    id bigint PRIMARY KEY, ts timestamptz NOT NULL, action text, message text, details jsonb);
  CREATE INDEX ix_audit_logs_ts ON public.audit_logs (ts DESC)`;

/** Rows of one UTC day for the table of source 1: `count` of them from `id` on, the first and last at its very edges. */
export function auditRows(day: string, id: number, count: number, action = "'login'"): string {
  return `SELECT ${id} + n, CASE WHEN n = ${count - 1} THEN '${day} 23:59:59.999999+00'::timestamptz
      ELSE '${day} 00:00:00+00'::timestamptz + n * interval '61.000007 seconds' END,
      ${action}, CASE WHEN n % 7 <> 0 THEN 'message ' || n END, jsonb_build_object('n', n, 'id', ${id} + n)
    FROM generate_series(0, ${count - 1}) n`;
}

-- The table of the demo: audit_logs(id, ts, action, message, details), with the index on ts that makes a night's export
-- a range scan. demo.truth keeps a second copy of every row ever inserted; Firnline never hears of it.
CREATE TABLE public.audit_logs (
  id bigint PRIMARY KEY,
  ts timestamptz NOT NULL,
  action text NOT NULL,
  message text,
  details jsonb NOT NULL
);
CREATE INDEX ix_audit_logs_ts ON public.audit_logs (ts DESC);
CREATE SCHEMA demo;
CREATE TABLE demo.truth (LIKE public.audit_logs);
CREATE TABLE demo.answer (line text NOT NULL);

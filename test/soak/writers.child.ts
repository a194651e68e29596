/**
 * The application, in a process of its own: inserts at a steady rate, some of them late, and changes to rows that are
 * still in the table. Each transaction is told before it is sent and when it was answered.
 */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { formatInstant, type EpochMicros } from "../../src/rows/day.ts";
import { Chance } from "../simulation/chance.ts";
import { Calendar, type CalendarPlan, monotonicMs } from "./calendar.ts";
import { actionOf, detailsOf, messageOf, type RowState } from "./rows.ts";

export interface WritersPlan {
  readonly url: string;
  readonly calendar: CalendarPlan;
  readonly seed: number;
  readonly rate: number;
  readonly writers: number;
}

export type Verb = "insert" | "update" | "delete";

/** A transaction, as it is sent (`rows`) and as it was answered (`count`). Times of rows as decimal strings. */
export type Told =
  | {
      readonly told: "sent";
      readonly token: number;
      readonly verb: Verb;
      readonly rows: readonly SentRow[];
      readonly atMs: number;
    }
  | { readonly told: "answered"; readonly token: number; readonly count: number; readonly atMs: number };

export interface SentRow {
  readonly id: number;
  readonly version: number;
  readonly time: string;
  readonly isLate: boolean;
}

export type ToWriters =
  | { readonly do: "begin"; readonly plan: WritersPlan }
  /** Everything that was told so far is there when the answer is. */
  | { readonly do: "sync"; readonly number: number }
  /** Answered with the latencies since the last time. */
  | { readonly do: "measure"; readonly number: number }
  | { readonly do: "end" };

export type FromWriters =
  | { readonly say: "ready" }
  | { readonly say: "told"; readonly list: readonly Told[] }
  | { readonly say: "synced"; readonly number: number }
  | { readonly say: "measured"; readonly number: number; readonly latenciesMs: readonly number[] }
  | { readonly say: "ended" }
  | { readonly say: "failed"; readonly message: string };

const INSERT = `INSERT INTO public.audit_logs (id, ts, action, message, details)
  SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::jsonb[])`;
const UPDATE = "UPDATE public.audit_logs SET ts = $2, message = $3, details = $4 WHERE id = $1";
const DELETE = "DELETE FROM public.audit_logs WHERE id = $1";

const HOUR_MICROS = 3_600_000_000n;
const DAY_MICROS = 24n * HOUR_MICROS;
/** Rows that may still be changed, the newest ones. */
const REMEMBERED_MAX = 4_000;
/** Each day that gets late rows is a partition more for the next run. */
const LATE_ONE_IN = 100;
const LATE_DAYS_MAX = 8;
const TELL_EVERY_MS = 20;
const BEHIND_MS_MAX = 500;

let told: Told[] = [];
let latenciesMs: number[] = [];
let token = 0;
let lastId = 0;
let isEnding = false;
/** Rows that were inserted and that nobody is changing at this moment. */
const rows: RowState[] = [];

const say = (message: FromWriters): void => void process.send?.(message);

function tell(): void {
  if (told.length === 0) return;
  say({ say: "told", list: told });
  told = [];
}

async function transact(
  client: pg.Client,
  {
    verb,
    sent,
    sql,
    values,
    dueMs,
  }: {
    readonly verb: Verb;
    readonly sent: readonly SentRow[];
    readonly sql: string;
    readonly values: readonly unknown[];
    readonly dueMs: number;
  },
): Promise<number> {
  token += 1;
  const mine = token;
  told.push({ told: "sent", token: mine, verb, rows: sent, atMs: monotonicMs() });
  const { rowCount } = await client.query({ name: verb, text: sql, values: [...values] });
  const atMs = monotonicMs();
  const count = rowCount ?? 0;
  told.push({ told: "answered", token: mine, count, atMs });
  // From when it was due: a transaction that had to wait for the one before it waited all the same.
  latenciesMs.push(atMs - dueMs);
  return count;
}

const sentRow = ({ id, version, time }: RowState, isLate = false): SentRow => ({
  id,
  version,
  time: time.toString(),
  isLate,
});
const timeText = ({ time }: RowState): string => formatInstant(time as EpochMicros);

async function insert(client: pg.Client, chance: Chance, calendar: Calendar, dueMs: number): Promise<void> {
  const isLate = chance.oneIn(LATE_ONE_IN);
  const back = isLate
    ? BigInt(chance.between(1, LATE_DAYS_MAX)) * DAY_MICROS + BigInt(chance.below(Number(DAY_MICROS)))
    : BigInt(chance.below(Number(2n * HOUR_MICROS)));
  const now = calendar.now();
  const fresh = Array.from({ length: chance.between(1, 3) }, (): RowState => {
    lastId += 1;
    return { id: lastId, version: 1, time: now - back - BigInt(chance.below(1_000_000)) };
  });
  await transact(client, {
    verb: "insert",
    sent: fresh.map((row) => sentRow(row, isLate)),
    sql: INSERT,
    values: [
      fresh.map(({ id }) => id),
      fresh.map(timeText),
      fresh.map(actionOf),
      fresh.map(messageOf),
      fresh.map((row) => JSON.stringify(detailsOf(row))),
    ],
    dueMs,
  });
  rows.push(...fresh);
  if (rows.length > REMEMBERED_MAX) rows.splice(0, rows.length - REMEMBERED_MAX);
}

async function change(client: pg.Client, chance: Chance, dueMs: number): Promise<void> {
  const at = chance.below(rows.length);
  const [row] = rows.splice(at, 1) as [RowState];
  if (chance.oneIn(4)) {
    await transact(client, { verb: "delete", sent: [sentRow(row)], sql: DELETE, values: [row.id], dueMs });
    return;
  }
  // Some move to another day.
  const shift = chance.oneIn(5) ? BigInt(chance.between(-48, 12)) * HOUR_MICROS : 0n;
  const next: RowState = { id: row.id, version: row.version + 1, time: row.time + shift };
  const values = [row.id, timeText(next), messageOf(next), JSON.stringify(detailsOf(next))];
  const count = await transact(client, { verb: "update", sent: [sentRow(next)], sql: UPDATE, values, dueMs });
  if (count === 1) rows.push(next);
}

async function write(
  plan: WritersPlan,
  number: number,
  calendar: Calendar,
  client: pg.Client,
): Promise<void> {
  const chance = new Chance(plan.seed * 1_000 + number);
  const everyMs = (1_000 * plan.writers) / plan.rate;
  let dueMs = monotonicMs() + (everyMs * number) / plan.writers;
  while (!isEnding) {
    const early = dueMs - monotonicMs();
    if (early > 0) await sleep(early);
    if (rows.length > 100 && chance.below(100) < 12) await change(client, chance, dueMs);
    else await insert(client, chance, calendar, dueMs);
    // A machine that cannot keep up is not asked for more and more.
    dueMs = Math.max(dueMs + everyMs, monotonicMs() - BEHIND_MS_MAX);
  }
}

async function begin(plan: WritersPlan): Promise<void> {
  const calendar = new Calendar(plan.calendar);
  const clients = await Promise.all(
    Array.from({ length: plan.writers }, async () => {
      const client = new pg.Client(plan.url);
      await client.connect();
      return client;
    }),
  );
  say({ say: "ready" });
  const telling = setInterval(tell, TELL_EVERY_MS);
  await Promise.all(clients.map(async (client, number) => await write(plan, number, calendar, client)));
  clearInterval(telling);
  tell();
  await Promise.all(clients.map(async (client) => await client.end()));
  say({ say: "ended" });
  process.disconnect();
}

process.on("message", (message: ToWriters) => {
  if (message.do === "begin") {
    begin(message.plan).catch((error: unknown) => {
      say({ say: "failed", message: (error as Error).stack ?? String(error) });
      process.exitCode = 1;
      process.disconnect();
    });
  } else if (message.do === "sync") {
    tell();
    say({ say: "synced", number: message.number });
  } else if (message.do === "measure") {
    say({ say: "measured", number: message.number, latenciesMs });
    latenciesMs = [];
  } else isEnding = true;
});

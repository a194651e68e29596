/**
 * Asks the store for readable copies of cold segments, once: what is asked for, restored or readable already, by
 * whomever, is joined. HEAD says how an object is (hazard 27), the catalog says what was asked for, and what is new is
 * priced and agreed to first. The order is: agreed, recorded and journaled, asked of the store.
 */
import { objectLocator } from "../archive/locators.ts";
import { type Access, type Archive, type ObjectHead, VAULT_CLASS } from "../archive/port.ts";
import { differs, readBytes } from "../archive/read-object.ts";
import { inParallel } from "../archived/read-manifests.ts";
import type { ReadableSegment } from "../catalog/port.ts";
import type { CopyOf, CopySeen, RestoreRecord, RestoreRequest, Restores } from "../catalog/restores.ts";
import { checkpoint, type Clock } from "../environment.ts";
import type { Failpoint } from "../failpoint.ts";
import { type FirnlineError, isFirnlineError } from "../errors.ts";
import type { Money, PriceList } from "../plan/cost.ts";
import type { EpochMs } from "../rows/day.ts";
import {
  COPY_DAYS_DEFAULT,
  quoteOf,
  requireAllowed,
  requireTier,
  type RestoreQuote,
  type RestoreTerms,
  TIER_DEFAULT,
} from "./restore-quote.ts";

export interface RestoreContext {
  readonly archive: Archive;
  readonly restores: Restores;
  readonly clock: Clock;
  readonly failpoint: Failpoint;
  readonly pipeline: string;
  readonly requestedBy: string;
  /** Null where copies are asked for alone. */
  readonly retrieval: string | null;
  readonly prices: PriceList | null;
  readonly terms: RestoreTerms;
  /** What was tried of cold classes so far: whether the store reads them without a restore. */
  readonly readAtOnce: Map<string, boolean>;
  readonly signal: AbortSignal;
}

/** How a segment is: its object in the store, and what the catalog knew right before that. */
export interface CopyLook {
  readonly segment: ReadableSegment;
  readonly head: ObjectHead;
  readonly record: RestoreRecord | null;
}

/** HEADs at the same time. */
const HEADS = 16;
const MS_PER_MINUTE = 60_000;
const MS_PER_DAY = 86_400_000;
/** A slow reader's pace, and the least that it is given: a copy must not end while it is read (hazard 23). */
const READ_BYTES_PER_SECOND = 4 * 1024 * 1024;
const READ_MS_MIN = 3_600_000;

export async function lookAtCopies(
  context: RestoreContext,
  segments: readonly ReadableSegment[],
): Promise<CopyLook[]> {
  const { archive, pipeline, restores, signal } = context;
  // Before the HEADs: what is recorded as restoring, and then found archived, has ended.
  const known = await restores.underWay(pipeline);
  const looks: CopyLook[] = [];
  const look = async (segment: ReadableSegment): Promise<void> => {
    checkpoint(signal);
    const object = objectLocator(pipeline, segment.record);
    const head = await archive.head(object);
    if (head === null) throw differs(object.key, "the object is gone");
    looks.push({ segment, head, record: known.get(segment.record.segment) ?? null });
  };
  await inParallel(segments, look, HEADS);
  return await withoutRestores(context, looks);
}

/** Some stores have the names of cold classes and nothing cold behind them: no restore, and none is needed. Tried once. */
async function withoutRestores(
  { archive, pipeline, readAtOnce, signal }: RestoreContext,
  looks: readonly CopyLook[],
): Promise<CopyLook[]> {
  for (const { head, segment } of looks) {
    const { access, bytes, storageClass } = head;
    if (access.state !== "archived" || bytes === 0n || readAtOnce.has(storageClass)) continue;
    const object = objectLocator(pipeline, segment.record);
    try {
      await readBytes(archive, object, { start: 0, end: 1 }, signal);
      readAtOnce.set(storageClass, true);
    } catch (error) {
      if (!isFirnlineError(error, "E_COLD")) throw error;
      readAtOnce.set(storageClass, false);
    }
  }
  const readable: Access = { state: "readable", until: null };
  return looks.map((look) =>
    look.head.access.state === "archived" && readAtOnce.get(look.head.storageClass) === true
      ? { ...look, head: { ...look.head, access: readable } }
      : look,
  );
}

/** What has to be asked for so that all of these can be read in the end, as one sum. Asks nobody. */
export function quoteCopies(context: RestoreContext, looks: readonly CopyLook[]): RestoreQuote {
  return judge(context, looks).quote;
}

export interface Asked {
  readonly quote: RestoreQuote;
  /** Not readable yet. */
  readonly waiting: readonly CopyLook[];
  /** Segments that this call asked for: whoever was first. */
  readonly mine: ReadonlySet<string>;
}

/** `spent` is what this retrieval was allowed before. Throws `E_INPUT` where nobody agreed to the rest. */
export async function askForCopies(
  context: RestoreContext,
  looks: readonly CopyLook[],
  spent: Money,
): Promise<Asked> {
  const { archive, clock, failpoint, pipeline, restores, terms } = context;
  const { fresh, longer, leftOver, waiting, quote } = judge(context, looks);
  const request = { ...requestOf(context), days: quote.days };
  await recordSeen(context, looks);
  if (fresh.length + longer.length > 0) {
    requireTier(pipeline, quote.tier, fresh.map(copyOf));
    terms.onQuote?.(quote);
    await requireAllowed(pipeline, quote, spent, terms.allow);
  }
  const readyAt = quote.minutesMax === null ? null : later(clock.now(), quote.minutesMax * MS_PER_MINUTE);
  const copies = fresh.map((look) => ({ ...copyOf(look), readyAt }));
  // The decision, and its journal entry: what is spent is known, whatever happens from here on.
  const isNothing = fresh.length + longer.length === 0;
  const mine = isNothing
    ? new Set<string>()
    : await restores.ask(pipeline, request, copies, longer.map(copyOf));
  if (mine.size > 0) failpoint("restore.asked");
  await handOver(context, [...fresh, ...leftOver]);
  await inParallel(
    longer,
    async ({ segment, record }) => {
      const { days, tier } = quote;
      const access = await archive.restore(objectLocator(pipeline, segment.record), { days, tier });
      if (record !== null) await restores.saw(record, seenOf(access));
    },
    HEADS,
  );
  return { quote, waiting, mine };
}

/** Asks the store for what is recorded as asked, unless another process is at it. */
export async function handOver(context: RestoreContext, looks: readonly CopyLook[]): Promise<void> {
  const { archive, failpoint, pipeline, restores } = context;
  const bySegment = new Map(looks.map((look) => [look.segment.record.segment, look]));
  if (bySegment.size === 0) return;
  let refusal: FirnlineError | undefined;
  await restores.handOver(pipeline, [...bySegment.keys()], async ({ segment, tier, days, readyAt }) => {
    const { record } = (bySegment.get(segment) as CopyLook).segment;
    const object = objectLocator(pipeline, record);
    // A process that was killed may have asked already: the store changes nothing then.
    const request = { days: days ?? COPY_DAYS_DEFAULT, tier: tier ?? TIER_DEFAULT };
    let access: Access;
    try {
      access = await archive.restore(object, request);
    } catch (error) {
      if (!isFirnlineError(error) || error.retryable || error.code === "E_INTERRUPTED") throw error;
      refusal ??= error;
      return { state: "failed", readyAt: null, until: null, error: error.message };
    }
    failpoint("restore.requested");
    const seen = seenOf(access);
    return { ...seen, readyAt: seen.readyAt ?? readyAt };
  });
  if (refusal !== undefined) throw refusal;
}

/** Writes down how copies are that were known otherwise, or not at all. */
export async function recordSeen(context: RestoreContext, looks: readonly CopyLook[]): Promise<void> {
  const { pipeline, restores } = context;
  for (const look of looks) {
    const { head, record } = look;
    const seen = seenOf(head.access);
    if (record === null) {
      const isCopy = head.access.state === "restoring" || isCopyReadable(head.access);
      if (isCopy) await restores.found(pipeline, requestOf(context), copyOf(look), seen);
    } else if (isChanged(record, seen)) await restores.saw(record, seen);
  }
}

function isChanged({ state, until }: RestoreRecord, seen: CopySeen): boolean {
  // Archived: what was only asked for has not been asked of the store yet.
  if (seen.state === "expired") return state !== "asked";
  return state !== seen.state || until !== seen.until;
}

export function requestOf({ requestedBy, retrieval, terms, clock }: RestoreContext): RestoreRequest {
  const { tier = TIER_DEFAULT, days = COPY_DAYS_DEFAULT } = terms;
  return { requestedBy, retrieval, tier, days, now: clock.now() };
}

export function seenOf(access: Access): CopySeen {
  switch (access.state) {
    case "readable":
      return { state: "readable", readyAt: null, until: access.until, error: null };
    case "restoring":
      return { state: "restoring", readyAt: access.readyAt, until: null, error: null };
    case "archived":
      return { state: "expired", readyAt: null, until: null, error: null };
  }
}

const isCopyReadable = (access: Access): boolean => access.state === "readable" && access.until !== null;

const copyOf = ({ segment, head }: CopyLook): CopyOf => ({
  segment: segment.record.segment,
  storageClass: head.storageClass,
  bytes: head.bytes,
});

const later = (instant: number, ms: number): EpochMs => (instant + ms) as EpochMs;

interface Judgement {
  /** Nobody has asked for these. */
  readonly fresh: readonly CopyLook[];
  /** Readable, and not for long enough. */
  readonly longer: readonly CopyLook[];
  /** Asked for by a process that may be gone before the store was: paid for already. */
  readonly leftOver: readonly CopyLook[];
  readonly waiting: readonly CopyLook[];
  readonly quote: RestoreQuote;
}

function judge(context: RestoreContext, looks: readonly CopyLook[]): Judgement {
  const { archive, clock, prices, terms } = context;
  const { tier = TIER_DEFAULT, days: daysWanted = COPY_DAYS_DEFAULT } = terms;
  const now = clock.now();
  const waiting = looks.filter(({ head }) => head.access.state !== "readable");
  const leftOver = waiting.filter(
    ({ head, record }) => head.access.state === "archived" && record?.state === "asked",
  );
  const fresh = waiting.filter(
    ({ head, record }) => head.access.state === "archived" && record?.state !== "asked",
  );
  const readable = looks.filter(({ head }) => isCopyReadable(head.access));
  const quote = (longer: readonly CopyLook[], days: number): RestoreQuote =>
    quoteOf({
      fresh: fresh.map(copyOf),
      longer: longer.map(copyOf),
      underWay: waiting.length - fresh.length,
      readable: readable.length - longer.length,
      tier,
      days,
      prices,
      // A folder is no cold store: its classes are a rehearsal, and nobody sends a bill.
      isFree: archive.url.startsWith("file:"),
    });
  // A copy has to be there when the last one has come and everything is read (hazard 23).
  const { minutesMax } = quote([], daysWanted);
  const last = waiting.reduce(
    (end, { head, record }) => {
      const ready = head.access.state === "restoring" ? (head.access.readyAt ?? record?.readyAt) : null;
      return Math.max(end, ready ?? now);
    },
    now + (minutesMax ?? 0) * MS_PER_MINUTE,
  );
  const bytes = looks.reduce((sum, { head }) => sum + head.bytes, 0n);
  const readMs = Math.max(READ_MS_MIN, (Number(bytes) / READ_BYTES_PER_SECOND) * 1_000);
  const staying = terms.lengthen === true && terms.days !== undefined ? terms.days * MS_PER_DAY : 0;
  const needed = Math.max(last + readMs, now + staying);
  // The output of a vault's job stays a day, whatever is asked for; it is restored again when it is missed.
  const longer = readable.filter(
    ({ head: { access, storageClass } }) =>
      access.state === "readable" && (access.until as number) < needed && storageClass !== VAULT_CLASS,
  );
  const days =
    longer.length === 0 ? daysWanted : Math.max(daysWanted, Math.ceil((needed - now) / MS_PER_DAY));
  return { fresh, longer, leftOver, waiting, quote: quote(longer, days) };
}

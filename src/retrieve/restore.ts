/** Makes cold segments readable: asks the store for copies and waits for them, as long as it takes or is allowed. */
import type { Access, Archive } from "../archive/port.ts";
import type { ReadableSegment } from "../catalog/port.ts";
import { FirnlineError } from "../errors.ts";
import type { EpochMs } from "../rows/day.ts";
import { objectLocator } from "../archive/locators.ts";
import { type Clock, type Progress, checkpoint } from "../environment.ts";
import { differs } from "../archive/read-object.ts";

/** Days that a restored copy stays; enough for a retrieval that is taken up again after a weekend. */
const COPY_DAYS = 3;
const POLL_MS = 1_000;
const POLL_MS_MAX = 60_000;
/** Bulk restores from Deep Archive take up to 48 hours. */
const WAIT_MS_MAX = 72 * 3_600_000;

export interface RestoreOptions {
  readonly archive: Archive;
  readonly pipeline: string;
  readonly clock: Clock;
  readonly report: (progress: Progress) => void;
  readonly signal: AbortSignal;
}

/** Returns how many segments had to be restored. */
export async function restoreSegments(
  options: RestoreOptions,
  segments: readonly ReadableSegment[],
): Promise<number> {
  const { archive, clock, pipeline, report, signal } = options;
  const startedMs = clock.monotonicMs();
  let waiting: { segment: ReadableSegment; access: Access }[] = [];
  for (const segment of segments) {
    checkpoint(signal);
    const access = await readAccess(options, segment);
    if (access.state === "readable") continue;
    const object = objectLocator(pipeline, segment.record);
    waiting.push({ segment, access: await archive.restore(object, { days: COPY_DAYS, tier: "Standard" }) });
  }
  const restored = waiting.length;
  for (let pollMs = POLL_MS; ; pollMs = Math.min(POLL_MS_MAX, pollMs * 2)) {
    waiting = waiting.filter(({ access }) => access.state !== "readable");
    const rows = BigInt(restored - waiting.length);
    if (restored > 0) report({ stage: "restore", subject: `${restored} cold segments`, rows, bytes: 0n });
    if (waiting.length === 0) return restored;
    if (clock.monotonicMs() - startedMs > WAIT_MS_MAX) throw tooLong(waiting.length);
    await clock.sleep(waitMs(clock.now(), waiting, pollMs), signal).catch(() => checkpoint(signal));
    const again: typeof waiting = [];
    for (const { segment } of waiting) again.push({ segment, access: await readAccess(options, segment) });
    waiting = again;
  }
}

/** No longer than until the first copy is said to be ready, no shorter than a moment. */
function waitMs(now: EpochMs, waiting: readonly { access: Access }[], pollMs: number): number {
  const ready = waiting.flatMap(({ access }) =>
    access.state === "restoring" && access.readyAt !== null ? [access.readyAt - now] : [],
  );
  return Math.max(20, Math.min(pollMs, ...ready));
}

async function readAccess(options: RestoreOptions, { record }: ReadableSegment): Promise<Access> {
  const object = objectLocator(options.pipeline, record);
  const head = await options.archive.head(object);
  if (head === null) throw differs(object.key, "the object is gone");
  return head.access;
}

function tooLong(count: number): FirnlineError {
  return new FirnlineError({
    code: "E_COLD",
    subject: `${count} cold segments`,
    problem: "their restore did not end within three days",
    hint: "Look at the store's restore status, then retrieve again",
    retryable: true,
  });
}

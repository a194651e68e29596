/**
 * Makes cold segments readable for one retrieval, and waits for that as long as it takes or is allowed. What one process
 * asked for is joined by the next: a retrieval that was killed is taken up by the same command, and pays nothing again.
 *
 * A copy may end before it is read, while others are waited for or in the middle of a read (hazard 23, fault 31). Then it
 * is asked for again, within a bound; never is an answer given without its rows (I8).
 */
import type { ReadableSegment } from "../catalog/port.ts";
import { checkpoint, type Progress } from "../environment.ts";
import { FirnlineError } from "../errors.ts";
import type { Money } from "../plan/cost.ts";
import type { EpochMs } from "../rows/day.ts";
import {
  askForCopies,
  type CopyLook,
  handOver,
  lookAtCopies,
  recordSeen,
  type RestoreContext,
} from "./ask-for-copies.ts";

const PAUSE_MS_MIN = 20;
const POLL_MS = 1_000;
const POLL_MS_MAX = 60_000;
/** A thousand objects need not be asked about every minute for two days. */
const HEADS_PER_MINUTE = 200;
/** Bulk restores from Deep Archive take up to 48 hours. */
const WAIT_MS_MAX = 72 * 3_600_000;
/** Copies of one segment that a retrieval asks for, or finds ended. */
const COPIES_MAX = 3;

export interface RestorerOptions extends Omit<RestoreContext, "readAtOnce"> {
  readonly report: (progress: Progress) => void;
}

export class Restorer {
  readonly #options: RestorerOptions & RestoreContext;
  /** Segments that were not readable when they were first looked at. */
  readonly #restored = new Set<string>();
  readonly #asked = new Map<string, number>();
  #spent: Money = 0n;

  constructor(options: RestorerOptions) {
    this.#options = { ...options, readAtOnce: new Map() };
  }

  /** How many segments had to be restored so far. */
  get restored(): number {
    return this.#restored.size;
  }

  /**
   * When it resolves, all of these could be read a moment ago. Throws `E_INPUT` where nobody agreed to the cost, `E_COLD`
   * where it takes too long. `signal` ends the waiting of this one caller.
   */
  async makeReadable(
    segments: readonly ReadableSegment[],
    signal: AbortSignal = this.#options.signal,
  ): Promise<void> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    for (;;) {
      checkpoint(signal);
      const looks = await lookAtCopies(this.#options, segments);
      for (const look of looks) this.#requireOneMore(look);
      const { quote, waiting, mine } = await askForCopies(this.#options, looks, this.#spent);
      this.#spent += quote.cost ?? 0n;
      for (const segment of mine) this.#asked.set(segment, this.#askedOf(segment) + 1);
      for (const { segment } of waiting) this.#restored.add(segment.record.segment);
      if (waiting.length === 0) return;
      await this.#wait(waiting, startedMs, signal);
      // All came; those that were there before may have gone meanwhile.
    }
  }

  /** Until all of these are readable, or one of them needs to be asked for again. */
  async #wait(looks: readonly CopyLook[], startedMs: number, signal: AbortSignal): Promise<void> {
    const { clock, report } = this.#options;
    const subject = `${looks.length} cold segments`;
    const pollMsMax = Math.max(POLL_MS_MAX, (looks.length / HEADS_PER_MINUTE) * 60_000);
    let waiting = looks;
    for (let pollMs = POLL_MS; ; pollMs = Math.min(pollMsMax, pollMs * 2)) {
      const found = await lookAtCopies(
        this.#options,
        waiting.map(({ segment }) => segment),
      );
      await recordSeen(this.#options, found);
      waiting = found.filter(({ head }) => head.access.state !== "readable");
      const nextAt = earliest(waiting);
      report({ stage: "restore", subject, rows: BigInt(looks.length - waiting.length), bytes: 0n, nextAt });
      if (waiting.length === 0 || waiting.some(isEnded)) return;
      // Asked for by a process that is at it, or was.
      await handOver(this.#options, waiting.filter(isArchived));
      if (clock.monotonicMs() - startedMs > WAIT_MS_MAX) throw tooLong(waiting.length);
      const now = clock.now();
      const pauseMs = nextAt === null || nextAt <= now ? pollMs : Math.min(pollMs, nextAt - now);
      await clock.sleep(Math.max(PAUSE_MS_MIN, pauseMs), signal).catch(() => checkpoint(signal));
      checkpoint(signal);
    }
  }

  /** Before another copy is paid for. */
  #requireOneMore(look: CopyLook): void {
    const { segment } = look.segment.record;
    if (isEnded(look) && this.#askedOf(segment) >= COPIES_MAX) throw neverThere(segment);
  }

  #askedOf(segment: string): number {
    return this.#asked.get(segment) ?? 0;
  }
}

const isArchived = ({ head }: CopyLook): boolean => head.access.state === "archived";

/** Nobody is at it: its copy came and went, or its request failed. */
const isEnded = (look: CopyLook): boolean => isArchived(look) && look.record?.state !== "asked";

function earliest(waiting: readonly CopyLook[]): EpochMs | null {
  let first: EpochMs | null = null;
  for (const { head, record } of waiting) {
    const { access } = head;
    const ready = (access.state === "restoring" ? access.readyAt : null) ?? record?.readyAt ?? null;
    if (ready !== null && (first === null || ready < first)) first = ready;
  }
  return first;
}

function tooLong(count: number): FirnlineError {
  return new FirnlineError({
    code: "E_COLD",
    subject: `${count} cold segments`,
    problem: "their restore did not end within three days",
    hint: "Look at `firnline restores`, then retrieve again: what was asked for is not asked for twice",
    retryable: true,
  });
}

function neverThere(segment: string): FirnlineError {
  return new FirnlineError({
    code: "E_COLD",
    subject: `segment ${segment}`,
    problem: `its restored copy ended ${COPIES_MAX} times before it could be read`,
    hint: "Retrieve fewer days at once, or ask for copies that stay longer (--days)",
  });
}

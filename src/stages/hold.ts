/**
 * hold: days of which nothing is removed, whatever the policy says: no segment expires or is collected, and no row of a
 * delete-only rule is deleted. Rows go on to move from tier to tier. A hold needs no lease: it is in force with the COMMIT
 * that writes it, and the next run journals it. Where the store has legal holds, the objects get one besides.
 *
 * Commit point: the transaction of `holds.place`, or of `holds.release`. What is left of legal holds then, the next run does.
 */
import type { ExpiredDays, Hold } from "../catalog/holds.ts";
import { checkpoint, type Environment } from "../environment.ts";
import { FirnlineError, isFirnlineError } from "../errors.ts";
import type { DayUtc } from "../rows/day.ts";
import { protectSegment } from "./lock.ts";

/** Segments of one look. */
const PAGE_SEGMENTS = 500;
const PAGES_MAX = 10_000;

export interface HoldRequest {
  /** UTC days, both included. */
  readonly dayFrom: DayUtc;
  readonly dayTo: DayUtc;
  readonly reason: string;
  readonly placedBy: string;
}

export interface ReleaseRequest {
  /** Its id, or so much of the beginning that no other hold begins with it. */
  readonly hold: string;
  readonly reason: string;
  readonly releasedBy: string;
}

export interface ChangedHold {
  readonly hold: Hold;
  /** Segments in the archive that it has a day of. */
  readonly archived: Pick<ExpiredDays, "segments" | "rows">;
  /** Segments that had expired before, or were about to. */
  readonly tooLate: Pick<ExpiredDays, "segments" | "rows">;
  /** Segments whose objects got a legal hold, or lost it; null where the store has no such thing. */
  readonly legalHolds: number | null;
}

/** A pipeline's holds, as a person asks for them. */
export class PipelineHolds<Tx = unknown> {
  readonly #environment: Environment<Tx>;
  readonly #requireSchema: () => Promise<void>;

  constructor(environment: Environment<Tx>, requireSchema: () => Promise<void>) {
    this.#environment = environment;
    this.#requireSchema = requireSchema;
  }

  /** In force, oldest first; with `all` those that were released too. */
  async list({ all = false }: { readonly all?: boolean } = {}): Promise<Hold[]> {
    const { holds, policy } = this.#environment;
    const found = await holds.list(policy.pipeline);
    return all ? found : found.filter(({ released }) => released === null);
  }

  /**
   * From the moment that it is in the database nothing of these days is removed, though a run be at it; when this resolves,
   * the store has its legal holds too. Aborted, or where the store fails, the hold is in force all the same, and the next
   * run does the rest. `E_INPUT` for a reason that says nothing, `E_CATALOG` before `migrateDatabase`.
   */
  async place(request: HoldRequest, signal: AbortSignal = never()): Promise<ChangedHold> {
    await this.#requireSchema();
    return await placeHold(this.#environment, request, signal);
  }

  /** `E_INPUT` where no hold, or more than one, begins so, or it was released already. */
  async release(request: ReleaseRequest, signal: AbortSignal = never()): Promise<ChangedHold> {
    await this.#requireSchema();
    return await releaseHold(this.#environment, request, signal);
  }
}

const never = (): AbortSignal => new AbortController().signal;

async function placeHold<Tx>(
  environment: Environment<Tx>,
  request: HoldRequest,
  signal: AbortSignal,
): Promise<ChangedHold> {
  const { archive, catalog, clock, holds, hot, newUuid, policy } = environment;
  const { pipeline } = policy;
  const words = { reason: plainText("--reason", request.reason), by: plainText("--by", request.placedBy) };
  if ((await catalog.pipeline(pipeline)) === null) {
    // Before the first run: what a delete-only rule would delete in it is to be held too.
    const source = await hot.identify();
    await catalog.register({ pipeline, archiveId: newUuid(), archiveUrl: archive.url, source });
  }
  const { dayFrom, dayTo } = request;
  const { reason, by: placedBy } = words;
  const hold = { hold: newUuid(), dayFrom, dayTo, reason, placedBy, placedAt: clock.now() };
  const tooLate = await holds.place(pipeline, hold);
  return {
    hold: { ...hold, released: null },
    archived: await holds.archived(pipeline, dayFrom, dayTo),
    tooLate,
    legalHolds: await settleLegalHolds(environment, hold.hold, signal),
  };
}

async function releaseHold<Tx>(
  environment: Environment<Tx>,
  request: ReleaseRequest,
  signal: AbortSignal,
): Promise<ChangedHold> {
  const { clock, holds, policy } = environment;
  const { pipeline } = policy;
  const hold = findHold(pipeline, await holds.list(pipeline), request.hold);
  const reason = plainText("--reason", request.reason);
  const released = { reason, by: plainText("--by", request.releasedBy), at: clock.now() };
  await holds.release(pipeline, hold.hold, released);
  return {
    hold: { ...hold, released },
    archived: await holds.archived(pipeline, hold.dayFrom, hold.dayTo),
    tooLate: { segments: 0, rows: 0n },
    legalHolds: await settleLegalHolds(environment, hold.hold, signal),
  };
}

/** The hold is changed whatever happens here: an error must not sound as if it were not. */
async function settleLegalHolds<Tx>(
  environment: Environment<Tx>,
  hold: string,
  signal: AbortSignal,
): Promise<number | null> {
  try {
    return await putLegalHolds(environment, signal);
  } catch (cause) {
    if (!isFirnlineError(cause)) throw cause;
    throw new FirnlineError({
      code: cause.code,
      subject: `hold ${hold}`,
      problem: `it is changed as asked for, but not all legal holds in the store are yet: ${cause.problem}`,
      hint: "Do not repeat it: the next run does the rest",
      cause,
    });
  }
}

/** Puts legal holds on, and takes them off, as the holds in force want it. */
async function putLegalHolds<Tx>(environment: Environment<Tx>, signal: AbortSignal): Promise<number | null> {
  const { archive, holds, policy, report } = environment;
  const { pipeline } = policy;
  if (!(await archive.traits()).locks) return null;
  const query = { lock: null, legalHolds: true, countMax: PAGE_SEGMENTS };
  let done = 0;
  let looked = 0n;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const segments = await holds.unprotected(pipeline, query);
    if (segments.length === 0) break;
    for (const segment of segments) {
      checkpoint(signal);
      looked += 1n;
      if (await protectSegment(environment, segment)) done += 1;
      report({ stage: "lock", subject: pipeline, rows: looked, bytes: 0n });
    }
  }
  return done;
}

const TEXT_LENGTH_MAX = 500;

/** It is shown in plans and kept in the journal for good. */
function plainText(name: string, text: string): string {
  const trimmed = text.trim();
  const isPlain =
    trimmed !== "" && trimmed.length <= TEXT_LENGTH_MAX && !/[\p{Cc}\u2028\u2029]/u.test(trimmed);
  if (isPlain) return trimmed;
  throw new FirnlineError({
    code: "E_INPUT",
    subject: name,
    problem: `it is not one line of 1 to ${TEXT_LENGTH_MAX} characters (found ${trimmed.length})`,
    hint: "Say it in a sentence: it is kept in the journal",
  });
}

const PREFIX_LENGTH_MIN = 4;

function findHold(pipeline: string, holds: readonly Hold[], text: string): Hold {
  const wanted = text.toLowerCase();
  const isPrefix = /^[0-9a-f-]+$/.test(wanted) && wanted.length >= PREFIX_LENGTH_MIN;
  const found = isPrefix ? holds.filter(({ hold }) => hold.startsWith(wanted)) : [];
  const [first, second] = found;
  if (first !== undefined && second === undefined && first.released === null) return first;
  throw new FirnlineError({
    code: "E_INPUT",
    subject: `pipeline ${pipeline}`,
    problem:
      first === undefined
        ? "it has no hold with this id"
        : second === undefined
          ? `hold ${first.hold} was released before, by ${first.released?.by}`
          : `${found.length} of its holds begin so`,
    hint: "`firnline hold list --all` shows them; the first eight characters of an id name it",
  });
}

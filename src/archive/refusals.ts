/**
 * The refusals that every adapter words alike, and the checks that lead to them. They depend on the arguments
 * and on what the object is, never on the store.
 */
import { FirnlineError, invariant, isFirnlineError } from "../errors.ts";
import type { ByteRange, Locator } from "./port.ts";

/** What an error is about: the operation, e.g. `archive.create`, and the key. */
export interface Where {
  readonly op: string;
  readonly key: string;
}

export function missingObject({ op, key }: Where): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: "there is no such object in the archive",
    hint: "Check the archive's URL, and who else deletes there; `firnline verify` lists what is gone",
    op,
    key,
  });
}

/**
 * A key cannot be an object and a folder of other objects at once; a bucket would allow it, a file system
 * cannot.
 */
export function folderConflict({ op, key }: Where, folder: string): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem:
      folder === key ? "a folder stands in the place of this key" : `${folder} is an object, not a folder`,
    hint: "Remove or rename what does not belong to the archive, or use another archive URL",
    op,
    key,
  });
}

/** Throws `E_ARCHIVE` where a store without versions is asked for one: the pin comes from another archive. */
export function assertUnversioned(op: string, { key, versionId }: Locator): void {
  if (versionId === null) return;
  throw new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: `the version ${JSON.stringify(versionId)} was asked for, and this archive keeps no versions`,
    hint: "Open the archive that the pin was made in, or run `firnline catalog rebuild` against this one",
    op,
    key,
  });
}

/** Throws `E_INTERNAL` on a range that is none, `E_ARCHIVE` on one that ends beyond the object's `bytes`. */
export function checkedRange(where: Where, range: ByteRange | undefined, bytes: number): ByteRange {
  if (range === undefined) return { start: 0, end: bytes };
  const { start, end } = range;
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(end);
  invariant(whole && start >= 0 && start <= end, where.key, `[${start}, ${end}) is not a range of bytes`);
  if (end > bytes) throw endsEarly(where, `bytes [${start}, ${end}) were asked for, the object has ${bytes}`);
  return { start, end };
}

/** Fewer bytes than asked for: never yielded without this error. */
export function endsEarly({ op, key }: Where, found: string): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: `the object is shorter than expected (${found})`,
    hint: "Run `firnline verify`; if the object is damaged, restore it from a backup of the archive",
    op,
    key,
  });
}

/** The signal's own reason where it is one of ours (a lost lease, for example), else `E_INTERRUPTED`. */
export function abortError({ op, key }: Where, signal: AbortSignal): FirnlineError {
  if (isFirnlineError(signal.reason)) return signal.reason;
  return new FirnlineError({
    code: "E_INTERRUPTED",
    subject: key,
    problem: `${op} was stopped before it was complete`,
    hint: "Run the same command again; it goes on where it stopped",
    op,
    key,
    retryable: true,
    cause: signal.reason,
  });
}

export function throwIfAborted(where: Where, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(where, signal);
}

/** Settles as `work` does, or rejects at once when `signal` aborts; `work` is then left to itself. */
export function untilAborted<T>(where: Where, work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(abortError(where, signal));
    // A listener for each wait and not one race partner for all: promises would pile up on a long stream
    // (I10).
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) onAbort();
  });
}

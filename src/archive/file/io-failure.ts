/**
 * What the operating system's refusals mean for the archive: which code, whether to try again, what to do.
 */
import { FirnlineError, type ErrorCode } from "../../errors.ts";
import type { Where } from "../refusals.ts";

interface Meaning {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly problem: string;
  readonly hint: string;
}

const FULL: Meaning = {
  code: "E_CAPACITY",
  retryable: true,
  problem: "no space is left for the archive",
  hint: "Free or add space (or raise the quota) there, then run again; it goes on where it stopped",
};
const TOO_LARGE: Meaning = {
  code: "E_CAPACITY",
  retryable: false,
  problem: "the file would be larger than this process or file system allows",
  hint: "Raise `ulimit -f` or use another file system for the archive",
};
const TOO_MANY_FILES: Meaning = {
  code: "E_CAPACITY",
  retryable: true,
  problem: "too many files are open",
  hint: "Raise `ulimit -n`, then run again",
};
const FORBIDDEN: Meaning = {
  code: "E_ARCHIVE",
  retryable: false,
  problem: "the operating system does not allow it",
  hint: "Give the user that runs Firnline write access to the archive's folder, on a writable mount",
};
const MISPLACED: Meaning = {
  code: "E_ARCHIVE",
  retryable: false,
  problem: "a file, folder or link stands where something else belongs",
  hint: "Check the archive's URL, and move away what does not belong there",
};
const TOO_LONG: Meaning = {
  code: "E_ARCHIVE",
  retryable: false,
  problem: "the path is too long for the file system",
  hint: "Use a shorter archive URL",
};
const UNSUPPORTED: Meaning = {
  code: "E_ARCHIVE",
  retryable: false,
  problem: "the file system cannot do what the archive needs",
  hint: "Use one mount of a file system with hard links and fsync of folders, for example ext4, xfs or NFS",
};
const OTHER: Meaning = {
  code: "E_ARCHIVE",
  retryable: true,
  problem: "the file system failed",
  hint: "Check the disk and the mount of the archive, then run again",
};

const MEANINGS: Readonly<Record<string, Meaning>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EFBIG: TOO_LARGE,
  EMFILE: TOO_MANY_FILES,
  ENFILE: TOO_MANY_FILES,
  EACCES: FORBIDDEN,
  EPERM: FORBIDDEN,
  EROFS: FORBIDDEN,
  ENOTDIR: MISPLACED,
  EISDIR: MISPLACED,
  ELOOP: MISPLACED,
  EEXIST: MISPLACED,
  ENAMETOOLONG: TOO_LONG,
  EINVAL: UNSUPPORTED,
  ENOSYS: UNSUPPORTED,
  ENOTSUP: UNSUPPORTED,
  EOPNOTSUPP: UNSUPPORTED,
  EXDEV: UNSUPPORTED,
  EMLINK: UNSUPPORTED,
};

/** The `code` of a system error, such as `ENOENT`; null for any other error. */
export function errnoOf(error: unknown): string | null {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return null;
  return typeof error.code === "string" ? error.code : null;
}

/** The FirnlineError that stands for `error`; one of ours comes back as it is. */
export function ioFailure(where: Where, error: unknown): FirnlineError {
  if (error instanceof FirnlineError) return error;
  const errno = errnoOf(error);
  return explained(where, error, (errno === null ? undefined : MEANINGS[errno]) ?? OTHER);
}

/** The same for a `link` that was refused: there EPERM says that the file system has no hard links. */
export function linkFailure(where: Where, error: unknown): FirnlineError {
  return errnoOf(error) === "EPERM" ? explained(where, error, UNSUPPORTED) : ioFailure(where, error);
}

function explained({ op, key }: Where, error: unknown, meaning: Meaning): FirnlineError {
  const found = error instanceof Error ? error.message : String(error);
  return new FirnlineError({
    code: meaning.code,
    subject: key,
    problem: `${meaning.problem} (${found})`,
    hint: meaning.hint,
    op,
    key,
    retryable: meaning.retryable,
    cause: error,
  });
}

/** Runs file system calls; what they throw comes out as a FirnlineError about `where`. */
export async function guarded<T>(where: Where, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw ioFailure(where, error);
  }
}

/** Runs one file system call whose object may be missing: then null. Other errors come out unchanged. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return null;
    throw error;
  }
}

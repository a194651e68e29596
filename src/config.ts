/**
 * Settings from the environment: how Firnline works, never what it keeps. Retention comes from the policy file alone.
 * A `FIRNLINE_` variable that is not known is refused, because a typing error must not silently mean a default.
 */
import type { Limits } from "./environment.ts";
import { FirnlineError } from "./errors.ts";
import { nearest } from "./policy/findings.ts";
import { type FailpointSetting, parseFailpoint } from "./failpoint.ts";

export interface Settings {
  readonly limits: Limits;
  readonly lockTimeoutMs: number;
  readonly copySilenceMs: number;
  readonly statementMs: number;
  readonly connectionsMax: number;
  /** The priority of a run's process among those of its host, from 0 to 19, the lowest. */
  readonly nice: number;
  /** How long a restore takes in a `file://` archive; lets a Glacier restore be rehearsed. */
  readonly fileRestoreDelayMs: number;
  readonly s3: S3Settings;
  /** Folder for spools; null means the system's. */
  readonly temporary: string | null;
  /** A file with prices of the owner's; null means those that come with Firnline. */
  readonly prices: string | null;
  readonly failpoint: FailpointSetting | null;
}

/** How a bucket is talked to. */
export interface S3Settings {
  readonly connectMs: number;
  /** How long an answer may take to begin. */
  readonly answerMs: number;
  /** How long a body may be silent. */
  readonly silenceMs: number;
  readonly sockets: number;
  /** Tries of one request while the store says that it is busy. */
  readonly attemptsMax: number;
  /** The longest pause between two tries. */
  readonly pauseMsMax: number;
  readonly partBytes: number;
  /** Parts of one upload that are under way at once; so many are held in memory. */
  readonly partsAtOnce: number;
}

type Environ = Readonly<Record<string, string | undefined>>;

interface NumberSetting {
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
}

/** Name, default and bounds of each number. Units stand in the names. */
const NUMBERS = {
  FIRNLINE_CHUNK_ROWS: { fallback: 5_000, min: 1, max: 100_000 },
  FIRNLINE_CHUNK_MIB: { fallback: 8, min: 1, max: 64 },
  FIRNLINE_ROW_GROUP_ROWS: { fallback: 20_000, min: 1, max: 1_000_000 },
  FIRNLINE_ROW_GROUP_MIB: { fallback: 32, min: 1, max: 512 },
  FIRNLINE_SEGMENT_MIB: { fallback: 1_024, min: 0, max: 40_960 },
  FIRNLINE_PRUNE_CHUNKS: { fallback: 16, min: 1, max: 1_000 },
  FIRNLINE_PRUNE_TARGET_MS: { fallback: 500, min: 1, max: 60_000 },
  FIRNLINE_DELETE_ROWS: { fallback: 5_000, min: 1, max: 100_000 },
  FIRNLINE_ATTEMPTS: { fallback: 4, min: 1, max: 20 },
  FIRNLINE_LEASE_SECONDS: { fallback: 60, min: 3, max: 3_600 },
  FIRNLINE_LOCK_TIMEOUT_MS: { fallback: 5_000, min: 1, max: 600_000 },
  FIRNLINE_DETACH_WAIT_MS: { fallback: 60_000, min: 1, max: 3_600_000 },
  FIRNLINE_COPY_SILENCE_SECONDS: { fallback: 300, min: 1, max: 86_400 },
  FIRNLINE_STATEMENT_SECONDS: { fallback: 3_600, min: 1, max: 86_400 },
  FIRNLINE_CONCURRENCY: { fallback: 3, min: 1, max: 3 },
  FIRNLINE_PACE_PERCENT: { fallback: 10, min: 1, max: 100 },
  FIRNLINE_PACE_WRITES: { fallback: 10, min: 0, max: 1_000_000 },
  FIRNLINE_NICE: { fallback: 10, min: 0, max: 19 },
  FIRNLINE_CONNECTIONS: { fallback: 6, min: 2, max: 50 },
  FIRNLINE_FILE_RESTORE_DELAY_MS: { fallback: 0, min: 0, max: 604_800_000 },
  FIRNLINE_S3_CONNECT_MS: { fallback: 10_000, min: 10, max: 600_000 },
  FIRNLINE_S3_ANSWER_MS: { fallback: 60_000, min: 10, max: 3_600_000 },
  FIRNLINE_S3_SILENCE_MS: { fallback: 60_000, min: 10, max: 3_600_000 },
  FIRNLINE_S3_SOCKETS: { fallback: 32, min: 2, max: 512 },
  FIRNLINE_S3_ATTEMPTS: { fallback: 24, min: 1, max: 100 },
  FIRNLINE_S3_PAUSE_MS: { fallback: 10_000, min: 1, max: 600_000 },
  FIRNLINE_S3_PART_MIB: { fallback: 8, min: 5, max: 512 },
  FIRNLINE_S3_PARTS: { fallback: 3, min: 1, max: 16 },
} as const satisfies Record<string, NumberSetting>;

/** With fewer, a stage would wait for another's connection. */
const OVERLAP_CONNECTIONS_MIN = 4;

const TEXTS = ["FIRNLINE_TMPDIR", "FIRNLINE_PRICES", "FIRNLINE_FAILPOINT"] as const;
const PREFIX = "FIRNLINE_";
/** Set for the test suites, and none of the program's business. */
const FOREIGN = /^FIRNLINE_TEST_/;

const MIB = 1024 * 1024;

export function readSettings(environ: Environ): Settings {
  const known: readonly string[] = [...Object.keys(NUMBERS), ...TEXTS];
  for (const name of Object.keys(environ)) {
    if (name.startsWith(PREFIX) && !FOREIGN.test(name) && !known.includes(name)) {
      // What all of them have in common makes none of them near.
      const near = nearest(
        name.slice(PREFIX.length),
        known.map((one) => one.slice(PREFIX.length)),
      );
      const hint =
        near === null
          ? `Known are ${known.join(", ")}`
          : `Did you mean ${PREFIX}${near}? Unset what is not meant`;
      throw inputError(name, "this variable is not known", hint);
    }
  }
  const number = (name: keyof typeof NUMBERS): number => readNumber(environ, name, NUMBERS[name]);
  const failpoint = environ["FIRNLINE_FAILPOINT"];
  return {
    limits: {
      chunk: { rowsMax: number("FIRNLINE_CHUNK_ROWS"), bytesMax: number("FIRNLINE_CHUNK_MIB") * MIB },
      rowGroupRowsMax: number("FIRNLINE_ROW_GROUP_ROWS"),
      rowGroupBytesMax: number("FIRNLINE_ROW_GROUP_MIB") * MIB,
      segmentBytesMax: Math.max(1, number("FIRNLINE_SEGMENT_MIB") * MIB),
      pruneChunksMax: number("FIRNLINE_PRUNE_CHUNKS"),
      pruneTargetMs: number("FIRNLINE_PRUNE_TARGET_MS"),
      deleteRowsMax: number("FIRNLINE_DELETE_ROWS"),
      attemptsMax: number("FIRNLINE_ATTEMPTS"),
      detachWaitMs: number("FIRNLINE_DETACH_WAIT_MS"),
      leaseMs: number("FIRNLINE_LEASE_SECONDS") * 1_000,
      // Two exports, where one ends and the next begins, and two deleting transactions have one each for as long as they take.
      concurrency:
        number("FIRNLINE_CONNECTIONS") < OVERLAP_CONNECTIONS_MIN ? 1 : number("FIRNLINE_CONCURRENCY"),
      paceShare: number("FIRNLINE_PACE_PERCENT") / 100,
      paceWrites: number("FIRNLINE_PACE_WRITES"),
    },
    lockTimeoutMs: number("FIRNLINE_LOCK_TIMEOUT_MS"),
    copySilenceMs: number("FIRNLINE_COPY_SILENCE_SECONDS") * 1_000,
    statementMs: number("FIRNLINE_STATEMENT_SECONDS") * 1_000,
    connectionsMax: number("FIRNLINE_CONNECTIONS"),
    nice: number("FIRNLINE_NICE"),
    fileRestoreDelayMs: number("FIRNLINE_FILE_RESTORE_DELAY_MS"),
    s3: {
      connectMs: number("FIRNLINE_S3_CONNECT_MS"),
      answerMs: number("FIRNLINE_S3_ANSWER_MS"),
      silenceMs: number("FIRNLINE_S3_SILENCE_MS"),
      sockets: number("FIRNLINE_S3_SOCKETS"),
      attemptsMax: number("FIRNLINE_S3_ATTEMPTS"),
      pauseMsMax: number("FIRNLINE_S3_PAUSE_MS"),
      partBytes: number("FIRNLINE_S3_PART_MIB") * MIB,
      partsAtOnce: number("FIRNLINE_S3_PARTS"),
    },
    temporary: environ["FIRNLINE_TMPDIR"] || null,
    prices: environ["FIRNLINE_PRICES"] || null,
    failpoint: failpoint === undefined || failpoint === "" ? null : parseFailpoint(failpoint),
  };
}

function readNumber(environ: Environ, name: string, { fallback, min, max }: NumberSetting): number {
  const text = environ[name];
  if (text === undefined || text === "") return fallback;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw inputError(
    name,
    `"${text}" is not a whole number from ${min} to ${max}`,
    `Unset it for the default, ${fallback}`,
  );
}

/** The value of the variable that a policy's `source.connection` names. Its value never appears in a message. */
export function readConnection(environ: Environ, variable: string): string {
  const value = environ[variable];
  if (value !== undefined && value !== "") {
    // The driver would read anything else as the path of a URL, and look for its password in a database's name.
    if (/^postgres(?:ql)?:\/\//.test(value)) return value;
    throw inputError(
      variable,
      "it does not hold a connection URL (its value is not shown, as it may be a secret)",
      "Write postgres://user:password@host:5432/database",
    );
  }
  throw inputError(
    variable,
    "the policy's source.connection names this variable, and it is not set",
    "Export it",
  );
}

function inputError(subject: string, problem: string, hint: string): FirnlineError {
  return new FirnlineError({ code: "E_INPUT", subject, problem, hint });
}

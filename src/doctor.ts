/**
 * `doctor`: everything that can be known to be wrong before anything moves, all of it at once. Findings refuse a run;
 * advice does not. Looking changes nothing in the database, and leaves nothing behind in the archive.
 */
import { access, constants, statfs } from "node:fs/promises";
import { requireOwner, requireSameReading } from "./catalog/owner.ts";
import type { PipelineRecord } from "./catalog/port.ts";
import type { Environment } from "./environment.ts";
import { FirnlineError, FirnlineErrors, isFirnlineError } from "./errors.ts";
import type { Examination, SourceTable } from "./hot/port.ts";
import { type Advice, durationText, sizeText } from "./plan/advice.ts";
import { dueDay } from "./policy/ages.ts";
import { nearest } from "./policy/findings.ts";
import { isDeletedSooner, policyFromJson } from "./policy/journaled.ts";
import type { Policy } from "./policy/policy.ts";
import { requireSameHistory } from "./retrieve/same-history.ts";
import { dayEnd, type EpochMicros, type EpochMs } from "./rows/day.ts";
import { journalKey } from "./segment/archive-keys.ts";
import { lockFinding } from "./stages/lock.ts";
import { copyProblem } from "./stages/transition-copy.ts";

export interface Diagnosis {
  readonly pipeline: string;
  readonly findings: readonly FirnlineError[];
  readonly advice: readonly Advice[];
}

/** Further apart, one of them is wrong, and so are the ages of rows or the dates of restored copies. */
const SKEW_MS_MAX = 60_000;
/** What a store may be unsafe by. */
const UNSAFE: ReadonlySet<string> = new Set(["E_BUCKET", "E_CLOCK"]);
/** Parquet is a fifth to a quarter of a table with its indexes. */
const ARCHIVED_SHARE = 4n;

/**
 * What a run looks at first: the table, the server, the clocks, and whether the store is one that keeps what it is given:
 * no rule that removes the archive (hazard 14), no creation over something else (I3). One that does not answer may be either.
 * Whose archive it is and where its journal ends the run sees under its lease. Throws all findings.
 */
export async function requireSound<Tx>(environment: Environment<Tx>, asOf: EpochMicros): Promise<void> {
  const { findings } = await examineSource(environment, asOf);
  const store = (await environment.archive.examine()).findings.filter(
    ({ code, retryable }) => UNSAFE.has(code) || (code === "E_ARCHIVE" && retryable),
  );
  if (findings.length + store.length > 0) throw new FirnlineErrors([...findings, ...store]);
}

export async function diagnose<Tx>(
  environment: Environment<Tx>,
  options: { readonly asOf: EpochMicros; readonly temporary: string },
): Promise<Diagnosis> {
  const { archive, catalog, hot, policy } = environment;
  const { source, findings, advice } = await examineSource(environment, options.asOf);
  const control = await catalog.examine(policy.pipeline, source?.identity ?? null);
  const record = control.isReady ? await catalog.pipeline(policy.pipeline) : null;
  const store = await archive.examine();
  const unfit =
    store.findings.length > 0
      ? null
      : ((await lockFinding(archive, policy)) ?? (await copyProblem(environment)));
  const history =
    store.findings.length > 0 ? [] : await judgeHistory(environment, source, record, control.isReady);
  const bytes = source === null ? null : (await hot.size(source)).bytes;
  return {
    pipeline: policy.pipeline,
    findings: [
      ...findings,
      ...control.findings,
      ...store.findings,
      ...(unfit === null ? [] : [unfit]),
      ...history,
    ],
    advice: [
      ...advice,
      ...control.advice,
      ...store.advice,
      ...advisePolicy(environment, record),
      ...(bytes === null ? [] : adviseSpace(archive.url, store.bytesFree, bytes / ARCHIVED_SHARE, ARCHIVING)),
      ...(await adviseTemporary(options.temporary, bytes)),
    ],
  };
}

async function examineSource<Tx>(
  { clock, hot, policy }: Environment<Tx>,
  asOf: EpochMicros,
): Promise<Examination> {
  const hotDays = policy.hot.keepDays;
  const found = await hot.examine({ hotDays, dueBefore: dayEnd(dueDay(hotDays, asOf)) });
  // After the first query, so that connecting is not measured.
  const before = clock.now();
  const server = await hot.now();
  const skew = judgeClocks(before, server, clock.now());
  const unknown = found.source === null ? null : judgeBloomColumns(found.source, policy);
  return { ...found, findings: [...found.findings, ...[skew, unknown].filter((one) => one !== null)] };
}

/** A name that is spelled wrongly would be noticed by a slow retrieval, when ten years are archived. */
export function judgeBloomColumns(
  { table, columns }: Pick<SourceTable, "table" | "columns">,
  { archive }: Pick<Policy, "archive">,
): FirnlineError | null {
  const names = columns.map(({ name }) => name);
  const missing = archive.bloomFilters.find((name) => !names.includes(name));
  if (missing === undefined) return null;
  const near = nearest(missing, names);
  return new FirnlineError({
    code: "E_POLICY",
    subject: `${table.schema}.${table.name}.${missing}`,
    problem: "archive.bloomFilters names a column that is not there",
    hint: near === null ? "Check its spelling, or take it off the list" : `Did you mean ${near}`,
  });
}

/** `server` was read at some moment between `before` and `after` of this host. */
export function judgeClocks(before: EpochMs, server: EpochMs, after: EpochMs): FirnlineError | null {
  const apart = server < before ? before - server : Math.max(0, server - after);
  if (apart <= SKEW_MS_MAX) return null;
  const isBehind = server < before;
  return new FirnlineError({
    code: "E_CLOCK",
    subject: "this host and the database",
    problem: `the database's clock is ${durationText(apart / 1000)} ${isBehind ? "behind" : "ahead"}`,
    hint: "Set the wrong one right, with NTP: it decides how old rows are, and some are deleted by their age",
    fix: ["# timedatectl set-ntp true"],
  });
}

/** Whether this database, and this state of it, is the one that the archive belongs to (hazards 3 and 4). */
async function judgeHistory<Tx>(
  environment: Environment<Tx>,
  source: Examination["source"],
  record: PipelineRecord | null,
  isReady: boolean,
): Promise<FirnlineError[]> {
  const head = record?.journal ?? { n: 0n, sha256: "0".repeat(64) };
  const checks = [
    async () => await (isReady ? requireSameHistory(environment, head) : requireNoJournal(environment)),
    async () => {
      // Before its first entry a pipeline may still change its mind.
      if (record === null || head.n === 0n || source === null) return;
      requireOwner(record, source.identity, environment.archive.url);
    },
  ];
  const findings: FirnlineError[] = [];
  for (const check of checks) {
    try {
      await check();
    } catch (error) {
      if (!isFirnlineError(error) || error.retryable) throw error;
      findings.push(error);
    }
  }
  return findings;
}

/** Without a control schema nothing is known of the archive: then it must not have begun. */
async function requireNoJournal<Tx>({ archive, policy }: Environment<Tx>): Promise<void> {
  const key = journalKey(policy.pipeline, 1n);
  if ((await archive.head({ key, versionId: null })) === null) return;
  throw new FirnlineError({
    code: "E_OWNER",
    subject: key,
    problem:
      "the archive has a journal of this pipeline, and this database has no control schema that knows it",
    hint:
      "Was its schema firnline lost? `firnline migrate` and `firnline catalog rebuild` bring it back. Is this a copy of " +
      "the database that is to go on in its place? `firnline migrate` and `firnline adopt`",
    key,
  });
}

/** What the next run will ask about, or retrievals will refuse until it has run. */
function advisePolicy<Tx>({ policy }: Environment<Tx>, record: PipelineRecord | null): Advice[] {
  if (record === null || record.policy === null) return [];
  const subject = `pipeline ${policy.pipeline}`;
  const applied = policyFromJson(record.policy, `journaled policy of ${policy.pipeline}`);
  const sooner = isDeletedSooner(applied, policy).map((one): Advice => ({
    code: "A_POLICY",
    subject: `${subject}, ${one.subject}`,
    problem: one.reason,
    hint: "A run refuses that until it is confirmed once; or put the policy back",
    fix: [`firnline run ${policy.pipeline} --confirm-sooner`],
  }));
  try {
    requireSameReading(record, policy);
    return sooner;
  } catch (error) {
    if (!isFirnlineError(error)) throw error;
    const hint =
      "Retrievals are refused until a run has applied this policy; put it back if that was not meant";
    return [...sooner, { code: "A_POLICY", subject: error.subject, problem: error.problem, hint, fix: [] }];
  }
}

/** Retrievals keep the hot rows of a range there for a while, up to `bytes`. A run does not need it. */
async function adviseTemporary(folder: string, bytes: bigint | null): Promise<Advice[]> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    const { bavail, bsize } = await statfs(folder, { bigint: true });
    return bytes === null ? [] : adviseSpace(folder, bavail * bsize, bytes, SPOOLING);
  } catch (error) {
    const problem = `retrievals keep hot rows in this folder for a while, and cannot (${(error as Error).message})`;
    const hint = "Make it writable, or name another one in FIRNLINE_TMPDIR";
    return [{ code: "A_CAPACITY", subject: folder, problem, hint, fix: [] }];
  }
}

export const ARCHIVING = {
  what: "archiving all rows of the table takes about",
  hint: "Add space before a large first run",
};
export const SPOOLING = {
  what: "a retrieval of all hot rows keeps up to",
  hint: "Free space, or name another folder in FIRNLINE_TMPDIR",
};

/** `bytes` is an estimate of what will be needed. */
export function adviseSpace(
  subject: string,
  bytesFree: bigint | null,
  bytes: bigint,
  { what, hint }: { readonly what: string; readonly hint: string },
): Advice[] {
  if (bytesFree === null || bytesFree >= bytes) return [];
  const problem = `${sizeText(bytesFree)} are free, and ${what} ${sizeText(bytes)} there`;
  return [{ code: "A_CAPACITY", subject, problem, hint, fix: [] }];
}

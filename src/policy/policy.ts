/**
 * The policy of one pipeline, as every other room sees it: all defaults filled in, nothing optional, days as
 * numbers and bytes as bigint. Retention comes from the file alone.
 */
import { FirnlineErrors } from "../errors.ts";
import { coherenceFindings } from "./coherence.ts";
import { readDocument } from "./document.ts";
import { findingError, findingsOf, type Finding } from "./findings.ts";
import { DEFAULT_RULE, type TableName } from "./readers/identifier.ts";
import {
  policyFile,
  type PolicyFile,
  type PruneMode,
  type StorageClass,
  type TransitionMode,
} from "./schema.ts";

export type { PruneMode, StorageClass, TableName, TransitionMode };

export interface Policy {
  /** Permanent id. */
  readonly pipeline: string;
  readonly source: PolicySource;
  readonly archive: PolicyArchive;
  readonly hot: { readonly keepDays: number };
  readonly warm: { readonly keepDays: number; readonly storageClass: StorageClass };
  /** `null`: objects stay in the warm class, and nothing expires. */
  readonly cold: PolicyCold | null;
  /** In order of matching, first match wins; the last one is always the implicit `default`. */
  readonly rules: readonly Rule[];
  readonly prune: PruneMode;
}

export interface PolicySource {
  /** NAME of the environment variable that holds the connection string. */
  readonly connectionVariable: string;
  readonly table: TableName;
  /** Name of the time column, unquoted. */
  readonly time: string;
  /** IANA zone of a plain timestamp; `null` for a timestamptz. */
  readonly zone: string | null;
  /** Names of the key columns, unquoted; `null`: the primary key. */
  readonly key: readonly string[] | null;
}

export interface PolicyArchive {
  /** `s3://bucket[/prefix]` or `file:///path`, without a trailing slash. */
  readonly url: string;
  readonly region: string | null;
  /** Origin of an S3-compatible store. */
  readonly endpoint: string | null;
  /** Account of AWS that every request wants the bucket to be of; `null`: whoever's it is. */
  readonly owner: string | null;
  /** Days that objects stay which nothing names any more. */
  readonly recoveryDays: number;
  /** Object Lock; `null`: none. */
  readonly lock: PolicyLock | null;
  /** `null`: the bucket's default. */
  readonly encryption: PolicyEncryption | null;
  /** Names of columns, unquoted, whose values get a bloom filter in new objects. */
  readonly bloomFilters: readonly string[];
}

export interface PolicyLock {
  readonly mode: "GOVERNANCE" | "COMPLIANCE";
  /** Age of the record until which its object is locked. */
  readonly keepDays: number;
}

export interface PolicyEncryption {
  readonly mode: "SSE-S3" | "SSE-KMS";
  /** Id, ARN or alias of a key in KMS; `null`: the account's default key, or none for SSE-S3. */
  readonly key: string | null;
}

export interface PolicyCold {
  /** `GLACIER_VAULT` where there is a vault. */
  readonly storageClass: StorageClass;
  /** Name of a vault of S3 Glacier, instead of a class of the bucket. */
  readonly vault: string | null;
  /** Who moves the object: a rule of the bucket on a tag, or a copy in place. */
  readonly transition: TransitionMode;
  /** Age of the record at which its object expires; `null`: never. */
  readonly keepDays: number | null;
  /** `null`: the store's own default (128 KiB on S3, 0 on files). */
  readonly objectBytesMin: bigint | null;
}

/** Ages of the record, in whole days after the end of its UTC day. */
export interface Rule {
  /** Permanent id. */
  readonly name: string;
  /** SQL predicate, closed text; `null` for `default`. */
  readonly when: string | null;
  /** False: rows are deleted after `hotDays` without being archived. */
  readonly archive: boolean;
  /** Age at which rows leave Postgres. */
  readonly hotDays: number;
  /** Age at which objects go cold, if there is a cold tier. Equals `hotDays` when `archive` is false. */
  readonly warmDays: number;
  /** Age at which objects expire; `null`: never. Equals `hotDays` when `archive` is false. */
  readonly coldDays: number | null;
}

/** More than that helps nobody. */
const FINDINGS_MAX = 100;
/** Finding a place takes time in proportion to the file. */
const PLACES_MAX = 1000;

/**
 * Reads the text of a policy file. `fileName` is only for messages.
 *
 * Throws `FirnlineErrors` with every finding, in the order of the file, each an `E_POLICY` whose subject is
 * `file:line:column path`. No message repeats a value that may be a secret.
 */
export function parsePolicy(text: string, fileName: string): Policy {
  const document = readDocument(text, fileName);
  const result = policyFile.safeParse(document.value);
  const findings: Finding[] = [
    ...(result.error?.issues.flatMap((issue) => findingsOf(issue, document.value)) ?? []),
    ...coherenceFindings(document.value),
  ];
  if (!result.success || findings.length > 0) {
    const errors = findings
      .slice(0, PLACES_MAX)
      .map((finding) => ({ finding, place: document.place(finding.path, finding.at) }))
      .sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)
      .slice(0, FINDINGS_MAX)
      .map(({ finding, place }) => findingError(fileName, place, finding.path, finding));
    throw new FirnlineErrors(errors);
  }
  return resolve(result.data);
}

const LOCKS = { governance: "GOVERNANCE", compliance: "COMPLIANCE" } as const;

/** Nothing but a bucket has rules of its own. */
const defaultTransition = (url: string, vault: string | undefined): TransitionMode =>
  url.startsWith("s3:") && vault === undefined ? "lifecycle" : "copy";

function resolve(file: PolicyFile): Policy {
  const { source, archive, tiers } = file;
  const hotDays = tiers.hot.keep;
  const warmDays = tiers.warm.keep;
  const coldDays = tiers.cold?.keep ?? null;
  const rules = file.rules.map((rule): Rule => {
    const { name, when, archive: archived } = rule;
    const hot = rule.hot ?? hotDays;
    // Not of the tiers: a change of theirs must not look like a change of a rule that has none.
    if (!archived) return { name, when, archive: false, hotDays: hot, warmDays: hot, coldDays: hot };
    const cold = rule.cold === undefined ? coldDays : rule.cold;
    return { name, when, archive: true, hotDays: hot, warmDays: rule.warm ?? warmDays, coldDays: cold };
  });
  return {
    pipeline: file.pipeline,
    source: {
      connectionVariable: source.connection,
      table: source.table,
      time: source.time,
      zone: source.zone ?? null,
      key: source.key ?? null,
    },
    archive: {
      url: archive.url,
      region: archive.region ?? null,
      endpoint: archive.endpoint ?? null,
      owner: archive.owner ?? null,
      recoveryDays: archive.recoveryWindow,
      lock: archive.lock ? { mode: LOCKS[archive.lock.mode], keepDays: archive.lock.keep } : null,
      encryption: archive.encryption
        ? { mode: archive.encryption.mode, key: archive.encryption.key ?? null }
        : null,
      bloomFilters: archive.bloomFilters,
    },
    hot: { keepDays: hotDays },
    warm: { keepDays: warmDays, storageClass: tiers.warm.storageClass },
    cold: tiers.cold
      ? {
          storageClass: tiers.cold.vault === undefined ? tiers.cold.storageClass : "GLACIER_VAULT",
          vault: tiers.cold.vault ?? null,
          transition: tiers.cold.transition ?? defaultTransition(archive.url, tiers.cold.vault),
          keepDays: coldDays,
          objectBytesMin: tiers.cold.objectBytesMin ?? null,
        }
      : null,
    rules: [...rules, { name: DEFAULT_RULE, when: null, archive: true, hotDays, warmDays, coldDays }],
    prune: file.prune,
  };
}

/** One segment in the archive against the journal: manifest and object, and, if asked, every value of every row. */
import type { Locator } from "../archive/port.ts";
import { differs } from "../archive/read-object.ts";
import type { Hold } from "../catalog/holds.ts";
import { hasSameKey, keysOf } from "../archived/archived-keys.ts";
import { type ManifestReader, readJournaledManifest } from "../archived/read-manifests.ts";
import { verifyObject } from "../archived/verify-object.ts";
import type { Environment } from "../environment.ts";
import { FirnlineError, isFirnlineError } from "../errors.ts";
import type { SourceTable } from "../hot/port.ts";
import type { RawRows } from "../rows/copy-binary.ts";
import type { SegmentHistory } from "../segment/history.ts";
import type { Manifest } from "../segment/manifest.ts";
import { isWhollySuperseded } from "../segment/standing.ts";
import { lockFindings } from "./verify-locks.ts";

export interface SegmentLook {
  readonly manifest: Manifest | null;
  /** Nothing of it counts any more, so that nothing of it was looked at. */
  readonly isSuperseded: boolean;
  /** Rows and bytes that were decoded and hashed. */
  readonly rows: bigint;
  readonly bytes: bigint;
  /** It is cold: its bytes can't be read before a restore, which says nothing against them (hazard 27). */
  readonly isUnverified: boolean;
  readonly findings: readonly FirnlineError[];
}

export interface LookOptions extends ManifestReader {
  readonly isDeep: boolean;
  /** The table that must have the rows of sealed chunks, and none of pruned ones; null where it cannot be asked. */
  readonly source: SourceTable | null;
  readonly holds: readonly Hold[];
  /** Of a chunk; null where its rows are not known to be anywhere. */
  readonly stateOf: (chunk: number) => "sealed" | "pruned" | null;
}

const NOTHING: SegmentLook = {
  manifest: null,
  isSuperseded: false,
  rows: 0n,
  bytes: 0n,
  isUnverified: false,
  findings: [],
};

export async function lookAtSegment<Tx>(
  environment: Environment<Tx>,
  options: LookOptions,
  history: SegmentHistory,
): Promise<SegmentLook> {
  let manifest: Manifest;
  try {
    manifest = await readJournaledManifest(options, history);
  } catch (error) {
    return { ...NOTHING, findings: [asFinding(error, options.signal)] };
  }
  if (isWhollySuperseded(history, manifest.chunks.length))
    return { ...NOTHING, manifest, isSuperseded: true };
  try {
    return { ...NOTHING, manifest, ...(await lookAtObject(environment, options, history, manifest)) };
  } catch (error) {
    if (isFirnlineError(error, "E_COLD")) return { ...NOTHING, manifest, isUnverified: true };
    return { ...NOTHING, manifest, findings: [asFinding(error, options.signal)] };
  }
}

async function lookAtObject<Tx>(
  environment: Environment<Tx>,
  options: LookOptions,
  history: SegmentHistory,
  manifest: Manifest,
): Promise<Partial<SegmentLook>> {
  const { archive } = environment;
  const { object, segment } = history;
  const locator: Locator = { key: object.key, versionId: object.versionId };
  const head = await archive.head(locator);
  if (head === null) throw differs(object.key, "the object is gone");
  if (head.bytes !== BigInt(object.bytes)) {
    throw differs(object.key, `it has ${head.bytes} bytes, ${object.bytes} were sealed`);
  }
  const locks = await lockFindings(environment, history, options.holds, head);
  if (!options.isDeep) return { findings: locks };
  if (head.access.state !== "readable") return { isUnverified: true, findings: locks };
  const keys = new KeyCheck(environment, options, manifest);
  const verdict = await verifyObject(
    {
      ...options,
      decodeGroup: environment.decodeGroup,
      onChunk: async (chunk, rows) => await keys.look(chunk, rows),
    },
    locator,
    manifest,
  );
  if (verdict.verdict === "differs") throw differs(object.key, verdict.reason);
  return { rows: BigInt(manifest.rows), bytes: head.bytes, findings: [...locks, ...keys.findings(segment)] };
}

/** Archived rows against the table, by their keys. */
class KeyCheck<Tx> {
  readonly #environment: Environment<Tx>;
  readonly #options: LookOptions;
  readonly #manifest: Manifest;
  /** Pruned, and in the table again: a restore brought them back, or a key was used once more (hazard 15). */
  readonly #back: string[] = [];
  /** Not pruned, and not in the table. */
  readonly #gone: string[] = [];
  #rowsBack = 0;
  #rowsGone = 0;

  constructor(environment: Environment<Tx>, options: LookOptions, manifest: Manifest) {
    this.#environment = environment;
    this.#options = options;
    this.#manifest = manifest;
  }

  async look(chunk: number, rows: RawRows): Promise<void> {
    const { source, stateOf } = this.#options;
    const state = stateOf(chunk);
    if (source === null || state === null || !hasSameKey(this.#manifest, source)) return;
    const keys = keysOf(this.#manifest, rows);
    const missing = new Set(await this.#environment.hot.missingKeys(source, keys));
    const first = (isMissing: boolean): string[] =>
      keys.find((_, row) => missing.has(row) === isMissing) ?? [];
    if (state === "pruned" && missing.size < keys.length) {
      this.#rowsBack += keys.length - missing.size;
      this.#back.push(first(false).join(", "));
    } else if (state === "sealed" && missing.size > 0 && (await this.#isStillSealed(chunk))) {
      this.#rowsGone += missing.size;
      this.#gone.push(first(true).join(", "));
    }
  }

  findings(segment: string): FirnlineError[] {
    const finding = (problem: string, hint: string): FirnlineError =>
      new FirnlineError({ code: "E_SOURCE", subject: `segment ${segment}`, problem, hint });
    return [
      ...(this.#back[0] === undefined
        ? []
        : [
            finding(
              `${this.#rowsBack} of its pruned rows have their keys in the table again (the first is ${this.#back[0]})`,
              "Was a backup put back, or is a key used again? `firnline retrieve` gives equal rows once and others both; " +
                "the next run archives what is in the table",
            ),
          ]),
      ...(this.#gone[0] === undefined
        ? []
        : [
            finding(
              `${this.#rowsGone} of its rows are neither pruned nor in the table (the first is ${this.#gone[0]})`,
              NOT_DELETED,
            ),
          ]),
    ];
  }

  /** A run may have pruned it since the catalog was read. */
  async #isStillSealed(chunk: number): Promise<boolean> {
    const { catalog, policy } = this.#environment;
    const now = await catalog.chunks(policy.pipeline, this.#manifest.segment);
    return now.some((one) => one.chunk === chunk && one.state === "sealed");
  }
}

/** What to do about archived rows that are gone from the table, though nothing says that they were pruned. */
export const NOT_DELETED =
  "If the application did not delete them, find out who did before the next run: it takes them for deleted";

/** What is wrong with one object is a finding; a store that can't be reached, or a request to stop, is not. */
function asFinding(error: unknown, signal: AbortSignal): FirnlineError {
  if (signal.aborted || !(error instanceof FirnlineError) || error.retryable) throw error;
  if (!["E_VERIFY", "E_FORMAT", "E_ARCHIVE"].includes(error.code)) throw error;
  return error;
}

/** What a vault of S3 Glacier can do, as `vaulted-archive.ts` needs it. `glacier-vault.ts` is the one that is real. */
import type { EpochMs } from "../../rows/day.ts";
import type { RestoreTier } from "../port.ts";
import type { Where } from "../refusals.ts";

/** An archive that is in the vault, with the tree hash that the vault has of it. */
export interface Stored {
  readonly archiveId: string;
  readonly treeHash: string;
}

/** A retrieval of one archive. Its output can be read for a day after it is done. */
export interface RetrievalJob {
  readonly jobId: string;
  readonly archiveId: string;
  readonly status: "InProgress" | "Succeeded" | "Failed";
  readonly completedAt: EpochMs | null;
}

export interface UnfinishedUpload {
  readonly uploadId: string;
  readonly description: string;
  readonly createdAt: EpochMs;
}

export interface Part {
  readonly uploadId: string;
  readonly start: number;
  readonly bytes: Uint8Array;
  readonly treeHash: string;
}

export interface Output {
  /** The asked range, or all of it where the server does not know ranges. */
  readonly isWhole: boolean;
  /** Of what comes, where the server says it. */
  readonly treeHash: string | null;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface Vault extends AsyncDisposable {
  readonly name: string;
  /** Null where there is no such vault, or none that this account may see. */
  describe(where: Where): Promise<{ readonly archives: bigint; readonly bytes: bigint } | null>;
  upload(
    where: Where,
    archive: { readonly description: string; readonly bytes: Uint8Array; readonly treeHash: string },
    signal?: AbortSignal,
  ): Promise<Stored>;
  beginUpload(where: Where, description: string, partBytes: number): Promise<string>;
  uploadPart(where: Where, part: Part, signal?: AbortSignal): Promise<void>;
  completeUpload(
    where: Where,
    upload: { uploadId: string; bytes: bigint; treeHash: string },
  ): Promise<Stored>;
  abortUpload(where: Where, uploadId: string): Promise<void>;
  /** Empty where the server has no uploads in parts. */
  uploads(where: Where): AsyncIterable<UnfinishedUpload>;
  /** Idempotent. */
  remove(where: Where, archiveId: string): Promise<void>;
  /** All that the vault still tells of. */
  jobs(where: Where): Promise<RetrievalJob[]>;
  retrieve(where: Where, archiveId: string, tier: RestoreTier): Promise<void>;
  /** The bytes from `start` to before `end` of a job's output. */
  output(where: Where, jobId: string, start: number, end: number, signal?: AbortSignal): Promise<Output>;
}

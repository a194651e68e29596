/** A vault through the SDK's client, which AWS still serves for those who have one. */
import type { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  DeleteArchiveCommand,
  DescribeVaultCommand,
  GetJobOutputCommand,
  InitiateJobCommand,
  InitiateMultipartUploadCommand,
  ListJobsCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  UploadArchiveCommand,
  UploadMultipartPartCommand,
} from "@aws-sdk/client-glacier";
import { FirnlineError, invariant } from "../../errors.ts";
import type { EpochMs } from "../../rows/day.ts";
import type { RestoreTier } from "../port.ts";
import type { Where } from "../refusals.ts";
import { isGone, isUnknownRequest } from "./failure.ts";
import { type GlacierConnection, GlacierRequests } from "./glacier-requests.ts";
import type { Output, Part, RetrievalJob, Stored, UnfinishedUpload, Vault } from "./vault.ts";

export interface GlacierVaultOptions extends GlacierConnection {
  readonly name: string;
}

const NO_UPLOADS: Pick<ListMultipartUploadsCommandOutput, "UploadsList" | "Marker"> = {};

export function openGlacierVault(options: GlacierVaultOptions): Vault {
  return new GlacierVault(options);
}

class GlacierVault implements Vault {
  readonly name: string;
  readonly #requests: GlacierRequests;

  constructor({ name, ...connection }: GlacierVaultOptions) {
    this.name = name;
    this.#requests = new GlacierRequests(name, connection);
  }

  async describe(where: Where): Promise<{ archives: bigint; bytes: bigint } | null> {
    try {
      const found = await this.#requests.call(where, "glacier:DescribeVault", async (client, how) =>
        client.send(new DescribeVaultCommand(this.#vault), how),
      );
      return { archives: BigInt(found.NumberOfArchives ?? 0), bytes: BigInt(found.SizeInBytes ?? 0) };
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }

  async upload(
    where: Where,
    { description, bytes, treeHash }: { description: string; bytes: Uint8Array; treeHash: string },
    signal?: AbortSignal,
  ): Promise<Stored> {
    const input = { ...this.#vault, archiveDescription: description, body: bytes, checksum: treeHash };
    // A second one would be a second archive; the whole move is tried again by the next run.
    const call = { signal, bytes: bytes.byteLength, isIdempotent: false };
    return stored(
      where,
      await this.#requests.call(
        where,
        "glacier:UploadArchive",
        async (client, how) => client.send(new UploadArchiveCommand(input), how),
        call,
      ),
    );
  }

  async beginUpload(where: Where, description: string, partBytes: number): Promise<string> {
    const input = { ...this.#vault, archiveDescription: description, partSize: String(partBytes) };
    const { uploadId } = await this.#requests.call(
      where,
      "glacier:InitiateMultipartUpload",
      async (client, how) => client.send(new InitiateMultipartUploadCommand(input), how),
    );
    invariant(uploadId !== undefined, where.key, "the vault began an upload without an id");
    return uploadId;
  }

  async uploadPart(
    where: Where,
    { uploadId, start, bytes, treeHash }: Part,
    signal?: AbortSignal,
  ): Promise<void> {
    const range = `bytes ${start}-${start + bytes.byteLength - 1}/*`;
    const input = { ...this.#vault, uploadId, range, body: bytes, checksum: treeHash };
    await this.#requests.call(
      where,
      "glacier:UploadMultipartPart",
      async (client, how) => client.send(new UploadMultipartPartCommand(input), how),
      { signal, bytes: bytes.byteLength },
    );
  }

  async completeUpload(
    where: Where,
    { uploadId, bytes, treeHash }: { uploadId: string; bytes: bigint; treeHash: string },
  ): Promise<Stored> {
    const input = { ...this.#vault, uploadId, archiveSize: bytes.toString(), checksum: treeHash };
    // Asked again shortly after, the vault answers with the same archive.
    return stored(
      where,
      await this.#requests.call(where, "glacier:CompleteMultipartUpload", async (client, how) =>
        client.send(new CompleteMultipartUploadCommand(input), how),
      ),
    );
  }

  async abortUpload(where: Where, uploadId: string): Promise<void> {
    try {
      await this.#requests.call(where, "glacier:AbortMultipartUpload", async (client, how) =>
        client.send(new AbortMultipartUploadCommand({ ...this.#vault, uploadId }), how),
      );
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async *uploads(where: Where): AsyncGenerator<UnfinishedUpload, void, undefined> {
    for (let marker: string | undefined; ;) {
      const input = { ...this.#vault, ...(marker === undefined ? {} : { marker }) };
      const page = await this.#requests
        .call(where, "glacier:ListMultipartUploads", async (client, how) =>
          client.send(new ListMultipartUploadsCommand(input), how),
        )
        .catch((error: unknown) => {
          if (isUnknownRequest(error)) return NO_UPLOADS;
          throw error;
        });
      for (const { MultipartUploadId, ArchiveDescription, CreationDate } of page.UploadsList ?? []) {
        if (MultipartUploadId === undefined) continue;
        const createdAt = (Date.parse(CreationDate ?? "") || 0) as EpochMs;
        yield { uploadId: MultipartUploadId, description: ArchiveDescription ?? "", createdAt };
      }
      if (!page.Marker) return;
      if (page.Marker === marker) throw withoutEnd(where, "uploads");
      marker = page.Marker;
    }
  }

  async remove(where: Where, archiveId: string): Promise<void> {
    try {
      await this.#requests.call(where, "glacier:DeleteArchive", async (client, how) =>
        client.send(new DeleteArchiveCommand({ ...this.#vault, archiveId }), how),
      );
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async jobs(where: Where): Promise<RetrievalJob[]> {
    const jobs: RetrievalJob[] = [];
    for (let marker: string | undefined; ;) {
      const input = { ...this.#vault, ...(marker === undefined ? {} : { marker }) };
      const page = await this.#requests.call(where, "glacier:ListJobs", async (client, how) =>
        client.send(new ListJobsCommand(input), how),
      );
      for (const {
        Action,
        ArchiveId,
        ArchiveSizeInBytes,
        CompletionDate,
        JobId,
        RetrievalByteRange,
        StatusCode,
      } of page.JobList ?? []) {
        // A part of an archive that somebody else asked for is no copy of it.
        const isWhole = !RetrievalByteRange || RetrievalByteRange === `0-${Number(ArchiveSizeInBytes) - 1}`;
        if (Action !== "ArchiveRetrieval" || !ArchiveId || JobId === undefined || !isWhole) continue;
        const status = StatusCode === "Succeeded" || StatusCode === "Failed" ? StatusCode : "InProgress";
        const completedAt = CompletionDate ? (Date.parse(CompletionDate) as EpochMs) : null;
        jobs.push({ jobId: JobId, archiveId: ArchiveId, status, completedAt });
      }
      if (!page.Marker) return jobs;
      if (page.Marker === marker) throw withoutEnd(where, "jobs");
      marker = page.Marker;
    }
  }

  async retrieve(where: Where, archiveId: string, tier: RestoreTier): Promise<void> {
    const jobParameters = {
      Type: "archive-retrieval",
      ArchiveId: archiveId,
      Tier: tier,
      Description: where.key,
    };
    // Two jobs are paid for twice: whoever asks looks whether there is one before it asks again.
    await this.#requests.call(
      where,
      "glacier:InitiateJob",
      async (client, how) => client.send(new InitiateJobCommand({ ...this.#vault, jobParameters }), how),
      { isIdempotent: false },
    );
  }

  async output(
    where: Where,
    jobId: string,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<Output> {
    const input = { ...this.#vault, jobId, range: `bytes=${start}-${end - 1}` };
    const { body, checksum, status } = await this.#requests.call(
      where,
      "glacier:GetJobOutput",
      async (client, how) => client.send(new GetJobOutputCommand(input), how),
      { signal },
    );
    invariant(body !== undefined, where.key, "the output of the job has no body");
    return {
      isWhole: status === 200,
      treeHash: checksum ?? null,
      body: this.#requests.body(where, body as unknown as Readable),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#requests.destroy();
  }

  get #vault(): { readonly accountId: string; readonly vaultName: string } {
    return { accountId: "-", vaultName: this.name };
  }
}

function stored(
  where: Where,
  { archiveId, checksum }: { archiveId?: string | undefined; checksum?: string | undefined },
): Stored {
  invariant(archiveId !== undefined, where.key, "the vault took an archive and gave it no id");
  return { archiveId, treeHash: checksum ?? "" };
}

/** A listing that goes in circles: what is behind would be taken for missing, and memory is not without end (I10). */
function withoutEnd({ op, key }: Where, what: string): FirnlineError {
  return new FirnlineError({
    code: "E_ARCHIVE",
    subject: key,
    problem: `the vault's listing of ${what} says that there is more, and not where it goes on`,
    hint: "Check that archive.endpoint is S3 Glacier, and any proxy or cache before it",
    op,
    key,
  });
}

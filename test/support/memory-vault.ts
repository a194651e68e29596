/** A vault in memory, which holds its callers to the API's rules: parts of a power of two MiB, tree hashes, jobs. */
import { createHash, randomBytes } from "node:crypto";
import type { RetrievalJob, Vault } from "../../src/archive/vault/vault.ts";
import type { EpochMs } from "../../src/rows/day.ts";

const MIB = 1 << 20;

interface Upload {
  readonly description: string;
  readonly partBytes: number;
  readonly createdAt: EpochMs;
  readonly parts: Map<number, Uint8Array>;
}

export class MemoryVault implements Vault {
  readonly name: string;
  readonly archives = new Map<string, { description: string; bytes: Uint8Array }>();
  readonly unfinished = new Map<string, Upload>();
  readonly jobList: { -readonly [field in keyof RetrievalJob]: RetrievalJob[field] }[] = [];
  /** Answers that break: called before the vault does anything, and after. */
  before: (call: string) => void = () => {};
  after: (call: string) => void = () => {};
  /** Whether the server answers a range with everything. */
  knowsRanges = true;
  now: () => EpochMs = () => Date.now() as EpochMs;

  constructor(name: string) {
    this.name = name;
  }

  describe = async () => ({ archives: BigInt(this.archives.size), bytes: 0n });

  upload: Vault["upload"] = async (_, { description, bytes, treeHash }) => {
    this.before("upload");
    if (recursiveTreeHash(bytes) !== treeHash) throw new Error("the tree hash is not that of the bytes");
    const archiveId = this.#keep(description, bytes);
    this.after("upload");
    return { archiveId, treeHash };
  };

  beginUpload: Vault["beginUpload"] = async (_, description, partBytes) => {
    if (partBytes % MIB !== 0 || Math.log2(partBytes / MIB) % 1 !== 0)
      throw new Error(`parts of ${partBytes} bytes`);
    const uploadId = randomBytes(8).toString("hex");
    this.unfinished.set(uploadId, { description, partBytes, createdAt: this.now(), parts: new Map() });
    return uploadId;
  };

  uploadPart: Vault["uploadPart"] = async (_, { uploadId, start, bytes, treeHash }) => {
    this.before("uploadPart");
    const upload = this.unfinished.get(uploadId);
    if (upload === undefined) throw new Error("there is no such upload");
    if (start % upload.partBytes !== 0) throw new Error(`a part at ${start}`);
    if (recursiveTreeHash(bytes) !== treeHash) throw new Error("the tree hash is not that of the part");
    upload.parts.set(start, bytes.slice());
  };

  completeUpload: Vault["completeUpload"] = async (_, { uploadId, bytes, treeHash }) => {
    const upload = this.unfinished.get(uploadId) as Upload;
    const parts = [...upload.parts].sort(([left], [right]) => left - right).map(([, part]) => part);
    if (parts.slice(0, -1).some((part) => part.length !== upload.partBytes)) throw new Error("a short part");
    const whole = new Uint8Array(Buffer.concat(parts));
    if (BigInt(whole.length) !== bytes || recursiveTreeHash(whole) !== treeHash)
      throw new Error("not the archive");
    this.unfinished.delete(uploadId);
    return { archiveId: this.#keep(upload.description, whole), treeHash };
  };

  abortUpload: Vault["abortUpload"] = async (_, uploadId) => {
    this.unfinished.delete(uploadId);
  };

  uploads: Vault["uploads"] = async function* (this: MemoryVault) {
    for (const [uploadId, { createdAt, description }] of this.unfinished)
      yield { uploadId, createdAt, description };
  };

  remove: Vault["remove"] = async (_, archiveId) => {
    this.archives.delete(archiveId);
  };

  jobs: Vault["jobs"] = async () => this.jobList.map((job) => ({ ...job }));

  retrieve: Vault["retrieve"] = async (_, archiveId) => {
    this.before("retrieve");
    if (!this.archives.has(archiveId)) throw new Error("there is no such archive");
    this.jobList.push({
      jobId: `job-${this.jobList.length}`,
      archiveId,
      status: "InProgress",
      completedAt: null,
    });
    this.after("retrieve");
  };

  output: Vault["output"] = async (_, jobId, start, end) => {
    const { archiveId } = this.jobList.find((job) => job.jobId === jobId) as RetrievalJob;
    const { bytes } = this.archives.get(archiveId) as { bytes: Uint8Array };
    const given = this.knowsRanges ? bytes.subarray(start, end) : bytes;
    const isAligned = this.knowsRanges && start % MIB === 0 && (end % MIB === 0 || end === bytes.length);
    const { after } = this;
    async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
      for (let at = 0; at < given.length; at += 100_000) {
        yield given.slice(at, at + 100_000);
        after("output");
      }
    }
    return {
      isWhole: !this.knowsRanges,
      treeHash: isAligned ? recursiveTreeHash(given) : null,
      body: body(),
    };
  };

  [Symbol.asyncDispose] = async (): Promise<void> => {};

  /** All jobs that are under way are done. */
  finishJobs(): void {
    for (const job of this.jobList) {
      if (job.status === "InProgress") Object.assign(job, { status: "Succeeded", completedAt: this.now() });
    }
  }

  #keep(description: string, bytes: Uint8Array): string {
    const archiveId = randomBytes(16).toString("base64url");
    this.archives.set(archiveId, { description, bytes: bytes.slice() });
    return archiveId;
  }
}

/** The definition, from the top: halves at the largest power of two MiB that is below the size. */
export function recursiveTreeHash(bytes: Uint8Array): string {
  const sha256 = (...pieces: Uint8Array[]): Uint8Array =>
    pieces.reduce((hash, piece) => hash.update(piece), createHash("sha256")).digest();
  const tree = (part: Uint8Array): Uint8Array => {
    if (part.length <= MIB) return sha256(part);
    let half = MIB;
    while (half * 2 < part.length) half *= 2;
    return sha256(tree(part.subarray(0, half)), tree(part.subarray(half)));
  };
  return Buffer.from(tree(bytes)).toString("hex");
}

/** What the bucket is and what the store can do: each asked once, when somebody first wants to know. */
import { GetBucketVersioningCommand, GetObjectLockConfigurationCommand } from "@aws-sdk/client-s3";
import type { Where } from "../refusals.ts";
import type { Bucket } from "./bucket.ts";
import { type Checksums, findChecksums } from "./checksums.ts";
import { areConditionsHonoured, type ProbedBucket } from "./conditions.ts";
import { isUnable } from "./failure.ts";
import { refusalOf } from "../sdk-refusal.ts";

/** Where versions were kept once, those that are there can still be named. */
export type Versioning = "enabled" | "suspended" | "never";

export interface LockRule {
  readonly mode: string;
  readonly days: number;
}

export interface Locking {
  readonly isOn: boolean;
  /** What the bucket locks whatever is put into it with; null: nothing. */
  readonly byDefault: LockRule | null;
}

export class Traits {
  readonly #bucket: Bucket;
  readonly #known = new Map<string, Promise<unknown>>();

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  async versioning(): Promise<Versioning> {
    return await this.#once("versioning", async () => await askVersioning(this.#bucket));
  }

  async locking(): Promise<Locking> {
    return await this.#once("locking", async () => await askLocking(this.#bucket));
  }

  async checksums(): Promise<Checksums> {
    return await this.#once("checksums", async () => await findChecksums(this.#bucket));
  }

  async keepsVersions(): Promise<boolean> {
    return (await this.versioning()) === "enabled";
  }

  /**
   * Whether a PutObject must be watched (`exclusive.ts`), since the store ignores its condition. Asked only where versions
   * allow it; of AWS it is documented, and a bucket that locks whatever is put into it is not asked for nothing.
   */
  async isWatched(): Promise<boolean> {
    if (this.#bucket.options.endpoint === null || !(await this.keepsVersions())) return false;
    return await this.#once("conditions", async () => {
      const known = await this.forProbe();
      return known.isLocking || !(await areConditionsHonoured(this.#bucket, "archive.probe", known));
    });
  }

  async forProbe(): Promise<ProbedBucket> {
    const checksums = await this.checksums();
    const hasVersions = (await this.versioning()) !== "never";
    return { checksums, hasVersions, isLocking: (await this.locking()).byDefault !== null };
  }

  async #once<T>(name: string, ask: () => Promise<T>): Promise<T> {
    const known = this.#known.get(name);
    if (known !== undefined) return (await known) as T;
    const asked = ask();
    this.#known.set(name, asked);
    try {
      return await asked;
    } catch (error) {
      this.#known.delete(name); // the next one asks again
      throw error;
    }
  }
}

async function askVersioning(bucket: Bucket): Promise<Versioning> {
  const where: Where = { op: "archive.traits", key: bucket.url };
  try {
    const { Status } = await bucket.call(where, "s3:GetBucketVersioning", async (s3, how) => {
      return await s3.send(new GetBucketVersioningCommand({ Bucket: bucket.name }), how);
    });
    if (Status === "Enabled") return "enabled";
    return Status === "Suspended" ? "suspended" : "never";
  } catch (error) {
    // R2, for one, has no versions, and does not know the question.
    if (isUnable(error)) return "never";
    throw error;
  }
}

const NO_LOCKING: Locking = { isOn: false, byDefault: null };
const DAYS_IN_YEAR = 365;

async function askLocking(bucket: Bucket): Promise<Locking> {
  const where: Where = { op: "archive.traits", key: bucket.url };
  try {
    const { ObjectLockConfiguration: found } = await bucket.call(
      where,
      "s3:GetBucketObjectLockConfiguration",
      async (s3, how) => await s3.send(new GetObjectLockConfigurationCommand({ Bucket: bucket.name }), how),
    );
    const { Mode, Days, Years } = found?.Rule?.DefaultRetention ?? {};
    const byDefault = Mode === undefined ? null : { mode: Mode, days: Days ?? (Years ?? 0) * DAYS_IN_YEAR };
    return { isOn: found?.ObjectLockEnabled === "Enabled", byDefault };
  } catch (error) {
    // Without a configuration the answer is 404 of its own name; stores without locks do not know the question.
    const refusal = refusalOf(error);
    const isWithout = refusal?.name === "ObjectLockConfigurationNotFoundError";
    if (isWithout || isUnable(error) || (refusal?.status === 404 && refusal.name !== "NoSuchBucket"))
      return NO_LOCKING;
    throw error;
  }
}

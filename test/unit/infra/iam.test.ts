/**
 * The IAM policies of the Terraform module against the code: what the S3 adapter sends is allowed to somebody, and
 * nothing is allowed that it does not send. Reads both as texts, so it needs no Terraform.
 */
import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";

const IAM = new URL("../../../infra/terraform/iam.tf", import.meta.url);
const ADAPTER = new URL("../../../src/archive/s3/", import.meta.url);

/** What a request takes. Source: S3 API reference, "Permissions" of each action. */
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  AbortMultipartUpload: ["s3:AbortMultipartUpload"],
  CompleteMultipartUpload: ["s3:PutObject"],
  CopyObject: [
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTagging",
    "s3:PutObject",
    "s3:PutObjectTagging",
  ],
  CreateMultipartUpload: ["s3:PutObject"],
  DeleteObject: ["s3:DeleteObject", "s3:DeleteObjectVersion"],
  GetBucketEncryption: ["s3:GetEncryptionConfiguration"],
  GetBucketLifecycleConfiguration: ["s3:GetLifecycleConfiguration"],
  GetBucketPolicyStatus: ["s3:GetBucketPolicyStatus"],
  GetBucketVersioning: ["s3:GetBucketVersioning"],
  GetObject: ["s3:GetObject", "s3:GetObjectVersion"],
  GetObjectLegalHold: ["s3:GetObjectLegalHold"],
  GetObjectLockConfiguration: ["s3:GetBucketObjectLockConfiguration"],
  GetObjectRetention: ["s3:GetObjectRetention"],
  GetObjectTagging: ["s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
  GetPublicAccessBlock: ["s3:GetBucketPublicAccessBlock"],
  HeadBucket: ["s3:ListBucket"],
  // Retention and legal hold are told in the answer only to who may see them.
  HeadObject: [
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectRetention",
    "s3:GetObjectLegalHold",
    "s3:ListBucket",
  ],
  ListMultipartUploads: ["s3:ListBucketMultipartUploads"],
  ListObjectVersions: ["s3:ListBucketVersions"],
  ListObjectsV2: ["s3:ListBucket"],
  ListParts: ["s3:ListMultipartUploadParts"],
  PutBucketLifecycleConfiguration: ["s3:PutLifecycleConfiguration"],
  PutObject: ["s3:PutObject"],
  PutObjectLegalHold: ["s3:PutObjectLegalHold"],
  PutObjectRetention: ["s3:PutObjectRetention"],
  PutObjectTagging: ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
  RestoreObject: ["s3:RestoreObject"],
  UploadPart: ["s3:PutObject"],
  UploadPartCopy: ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
};
/** `lifecycle apply` is an administrator's, not one of the three. */
const ADMINISTRATION = ["s3:PutLifecycleConfiguration"];

async function commands(): Promise<string[]> {
  const files = (await readdir(ADAPTER)).filter((name) => name.endsWith(".ts"));
  const texts = await Promise.all(files.map(async (name) => await readFile(new URL(name, ADAPTER), "utf8")));
  const found = texts.flatMap((text) =>
    [...text.matchAll(/\bnew (\w+)Command\(/g)].map(([, name]) => name as string),
  );
  return [...new Set(found)].sort();
}

/** The actions of each policy document, with those that it takes from another one. */
async function documents(): Promise<Readonly<Record<string, readonly string[]>>> {
  const text = await readFile(IAM, "utf8");
  const blocks = text.split(/^data "aws_iam_policy_document" /m).slice(1);
  const own = blocks.map((block) => {
    const body = block.slice(0, block.indexOf("\n}\n"));
    return [
      /^"(\w+)"/.exec(block)?.[1] as string,
      [...body.matchAll(/"((?:s3|kms):[A-Z]\w+)"/g)].map(([, action]) => action as string),
    ] as const;
  });
  const look = own.find(([name]) => name === "look")?.[1] ?? [];
  return Object.fromEntries(
    own.filter(([name]) => name !== "look").map(([name, actions]) => [name, [...look, ...actions]]),
  );
}

describe("the IAM policies", () => {
  it("know every request that the adapter sends", async () => {
    const sent = await commands();
    expect(sent.length).toBeGreaterThan(20);
    expect(sent.filter((name) => NEEDS[name] === undefined)).toEqual([]);
  });

  it("allow all that is sent, and nothing else", async () => {
    const needed = new Set((await commands()).flatMap((name) => NEEDS[name] ?? []));
    const allowed = new Set(
      Object.values(await documents())
        .flat()
        .filter((action) => action.startsWith("s3:")),
    );
    for (const action of ADMINISTRATION) {
      expect(allowed).not.toContain(action);
      needed.delete(action);
    }
    expect([...allowed].sort()).toEqual([...needed].sort());
  });

  it("let the exporter write, the retriever restore and the collector delete, and no other", async () => {
    const all = await documents();
    expect(Object.keys(all)).toEqual(["exporter", "retriever", "collector"]);
    const who = (action: string): string[] => Object.keys(all).filter((name) => all[name]?.includes(action));
    expect(who("s3:RestoreObject")).toEqual(["retriever"]);
    expect(who("s3:DeleteObject")).toEqual(["collector"]);
    expect(who("s3:PutObjectTagging")).toEqual(["exporter"]);
    expect(who("s3:PutObjectLegalHold")).toEqual(["exporter"]);
    // The exporter's stands in a block that `runs_delete` turns on.
    expect(who("s3:DeleteObjectVersion")).toEqual(["exporter", "collector"]);
    expect(who("s3:PutObject")).toEqual(["exporter", "collector"]);
    expect(
      Object.values(all)
        .flat()
        .filter((action) => /\*|Bypass/.test(action)),
    ).toEqual([]);
  });
});

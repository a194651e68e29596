/** Lifecycle rules of other people in a test's bucket. */
import { createHash } from "node:crypto";
import {
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
  type S3Client,
} from "@aws-sdk/client-s3";

/** Puts these rules in the place of all that the bucket has. */
export async function putRules(
  client: S3Client,
  Bucket: string,
  rules: readonly LifecycleRule[],
): Promise<void> {
  const LifecycleConfiguration = { Rules: [...rules] };
  const command = new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration });
  // Stores other than AWS insist on the checksum.
  command.middlewareStack.add(
    (next) => async (args) => {
      const request = args.request as { body: string; headers: Record<string, string> };
      request.headers["content-md5"] = createHash("md5").update(request.body).digest("base64");
      return await next(args);
    },
    { step: "build", priority: "low" },
  );
  await client.send(command);
}

/** The bucket's rules that are not Firnline's, by id. */
export async function foreignRules(client: S3Client, Bucket: string): Promise<LifecycleRule[]> {
  const { Rules = [] } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
  return Rules.filter(({ ID = "" }) => !ID.startsWith("firnline-")).sort((a, b) =>
    (a.ID as string) < (b.ID as string) ? -1 : 1,
  );
}

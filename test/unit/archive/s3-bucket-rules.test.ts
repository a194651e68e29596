/** What goes over the wire for lifecycle rules, where no server at hand says it: answers written by hand. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { readSettings } from "../../../src/config.ts";
import { applyRules, type BucketRules } from "../../../src/archive/bucket-rules.ts";
import { openBucketRules } from "../../../src/wiring.ts";
import { bucketPolicy } from "../plan/lifecycle-policy.ts";

const SMALLEST = "x-amz-transition-default-minimum-object-size";
const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
/** What Ceph and moto have no word for. */
const SIZED =
  "<Rule><ID>sized</ID><Filter><And><Prefix>tmp/</Prefix><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan>" +
  "<ObjectSizeLessThan>4294967297</ObjectSizeLessThan></And></Filter><Status>Enabled</Status>" +
  "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions>" +
  "</NoncurrentVersionExpiration><Transition><Date>2031-01-01T00:00:00Z</Date><StorageClass>GLACIER</StorageClass>" +
  "</Transition></Rule>";

/** A bucket that keeps what is written, and answers with what it was given until then. */
class Store {
  document = "";
  headers: Record<string, string> = {};
  readonly written: { readonly body: string; readonly headers: IncomingHttpHeaders }[] = [];
  readonly #server = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString("utf8");
      if (request.method === "PUT") {
        this.written.push({ body, headers: request.headers });
        this.document = body;
      }
      response.writeHead(200, { "content-type": "application/xml", ...this.headers });
      response.end(request.method === "GET" ? this.document : "");
    })();
  });

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

describe("lifecycle rules over the wire", () => {
  const store = new Store();
  let policy = bucketPolicy();
  let bucket: BucketRules;

  beforeAll(async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", "a").stubEnv("AWS_SECRET_ACCESS_KEY", "b");
    policy = bucketPolicy({ archive: { endpoint: await store.listen() } });
    bucket = await openBucketRules(policy.archive, readSettings({}));
  });
  afterAll(async () => {
    await bucket[Symbol.asyncDispose]();
    store.close();
    vi.unstubAllEnvs();
  });

  const apply = async () =>
    await applyRules(bucket, { policies: [policy], isConfirmed: true, sleep: async () => {} });
  const answer = (rules: string, headers = {}): void => {
    store.document = `<?xml version="1.0" encoding="UTF-8"?>\n<LifecycleConfiguration ${NAMESPACE}>${rules}</LifecycleConfiguration>`;
    store.headers = headers;
    store.written.length = 0;
  };

  it("keep sizes, dates and numbers of versions of other people's rules", async () => {
    answer(SIZED);
    expect(await apply()).toMatchObject({ isWritten: true });
    const [{ body, headers } = { body: "", headers: {} }] = store.written;
    for (const element of SIZED.match(/<(\w+)>[^<>]+<\/\1>/g) ?? []) expect(body).toContain(element);
    expect(body.match(/<Rule>/g)).toHaveLength(4);
    expect(headers["content-md5"]).toBeDefined();
    expect(headers[SMALLEST]).toBeUndefined();
  });

  it("go back with what the bucket says of small objects, which S3 would set anew", async () => {
    answer(SIZED, { [SMALLEST]: "varies_by_storage_class" });
    expect(await apply()).toMatchObject({ isWritten: true });
    expect(store.written.map(({ headers }) => headers[SMALLEST])).toEqual(["varies_by_storage_class"]);
  });

  it.each([
    ["ExpiredObjectAllVersions", "<Expiration><Days>1</Days><ExpiredObjectAllVersions/></Expiration>"],
    ["DelMarkerExpiration", "<DelMarkerExpiration><Days>1</Days></DelMarkerExpiration>"],
    ["v:Flag", "<v:Flag>x</v:Flag>"],
  ])("are not touched where one says what S3 does not: %s", async (name, action) => {
    answer(`<Rule><ID>more</ID><Filter/><Status>Enabled</Status>${action}</Rule>`);
    await expect(apply()).rejects.toThrow(
      `E_ARCHIVE s3://acme: its lifecycle rules say what this version does not know (${name}). Nothing was changed`,
    );
    expect(store.written).toEqual([]);
  });

  it("are an error where the answer is none", async () => {
    store.document = "<html><body>Sign in</body></html>";
    await expect(bucket.read()).rejects.toThrow(/^E_ARCHIVE s3:\/\/acme: /);
  });
});

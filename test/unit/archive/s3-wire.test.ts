/** Answers that no real store at hand gives, written by hand: cut short, hung, endless, of something else. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Archive } from "../../../src/archive/port.ts";
import {
  at,
  bytesOf,
  expectBytes,
  failureOf,
  patterned,
  readAll,
} from "../../conformance/archive/harness.ts";
import { openBucket } from "../../conformance/archive/s3-bucket.ts";
import { errorDocument } from "../../support/http-proxy.ts";

const MIB = 1024 ** 2;

interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** What the server does with a request: an answer, or whatever it does to the response by itself. */
type Answering = (request: IncomingMessage, response: ServerResponse) => Reply | void;

const OK: Reply = { headers: { etag: '"e"' } };
const xml = (body: string): Reply => ({ body: `<?xml version="1.0"?>\n${body}` });
const DENIED: Reply = { status: 400, body: errorDocument("BadDigest") };
const inside = (code: string): Reply => ({ body: errorDocument(code) });

const LARGE = 6 * MIB;
/** Of the large object: who makes it, and whether it is there. */
let creation: string;
let isThere: boolean;

/** A bucket without versions, whose store compares every checksum, and has at most one object. */
const plain: Answering = ({ method = "", url = "", headers }) => {
  if (/[?&]versioning/.test(url)) return xml("<VersioningConfiguration/>");
  if (/[?&]object-lock/.test(url))
    return { status: 404, body: errorDocument("NoSuchObjectLockConfiguration") };
  if (method === "POST") creation = String(headers["x-amz-meta-firnline-creation"] ?? creation);
  if (method === "POST" && /[?&]uploads/.test(url))
    return xml("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>");
  if (method === "POST") isThere = true;
  if (method === "POST")
    return xml("<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>");
  if (method === "PUT" && url.includes("_firnline/_probe")) return DENIED;
  if (method === "PUT") return OK;
  if (method === "DELETE") return { status: 204 };
  if (method === "HEAD" && !isThere) return { status: 404 };
  if (method === "HEAD")
    return { headers: { "content-length": `${LARGE}`, "x-amz-meta-firnline-creation": creation } };
  if (/[?&]uploadId=/.test(url)) return { status: 404, body: errorDocument("NoSuchUpload") };
  if (/[?&]uploads/.test(url))
    return xml("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>");
  return listing([]);
};

function listing(keys: readonly string[], next?: string): Reply {
  const contents = keys
    .map((key) => `<Contents><Key>firnline/${key}</Key><Size>1</Size></Contents>`)
    .join("");
  const token =
    next === undefined || next === "" ? "" : `<NextContinuationToken>${next}</NextContinuationToken>`;
  return xml(
    `<ListBucketResult><IsTruncated>${next !== undefined}</IsTruncated>${contents}${token}</ListBucketResult>`,
  );
}

let server: Server;
let answering: Answering;
let asked: string[];
/** Of small requests. */
let bodies: string[];
let archive: Archive;

beforeEach(async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "a").stubEnv("AWS_SECRET_ACCESS_KEY", "b");
  asked = [];
  bodies = [];
  creation = "";
  isThere = false;
  answering = plain;
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const pieces: Buffer[] = [];
    request
      .on("error", () => {})
      .on("data", (piece: Buffer) => void (pieces.length < 3 && pieces.push(piece)));
    response.on("error", () => {});
    request.on("end", () => {
      bodies.push(Buffer.concat(pieces).toString());
      const reply = answering(request, response);
      if (reply === undefined) return;
      response.writeHead(reply.status ?? 200, reply.headers);
      response.end(reply.body);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  archive = open();
});

afterEach(async () => {
  await archive[Symbol.asyncDispose]();
  server.close();
  server.closeAllConnections();
  vi.unstubAllEnvs();
});

function open(environ: Record<string, string> = {}, own: Record<string, unknown> = {}): Archive {
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const address = {
    name: "moto",
    title: "",
    region: "us-east-1",
    accessKeyId: "a",
    secretAccessKey: "b",
  } as const;
  return openBucket({ ...address, endpoint, lifecycleDaySeconds: null }, "bucket", {
    environ: { FIRNLINE_S3_PAUSE_MS: "1", ...environ },
    archive: own,
  });
}

/** The first time that `matches` is asked for, `reply`; else what a plain bucket says. */
function onFirst(matches: RegExp, reply: Reply): void {
  let isDone = false;
  answering = (request, response) => {
    if (isDone || !matches.test(`${request.method} ${request.url}`)) return plain(request, response);
    isDone = true;
    return reply;
  };
}

const times = (matches: RegExp): number => asked.filter((one) => matches.test(one)).length;

const PUT = /^PUT .*a\?.*x-id=PutObject/;
const PART = /^PUT .*\/a\?.*partNumber=1/;
const LIST = /^GET .*list-type=2/;
const VERSIONING = /^GET .*versioning/;

describe("an answer that is none is asked for again", () => {
  test.each([
    ["PutObject without an ETag", PUT, {}],
    ["PutObject with an error in it", PUT, inside("InternalError")],
    [
      "versioning: an error below its spaces",
      VERSIONING,
      { body: `${" ".repeat(2_000)}${errorDocument("SlowDown")}\n` },
    ],
    ["versioning: an error", VERSIONING, inside("InternalError")],
    ["versioning: nothing", VERSIONING, {}],
    ["versioning: a page for people", VERSIONING, { body: "<!doctype html><HTML><body>hello</body></HTML>" }],
    ["versioning: another page for people", VERSIONING, { body: "<html><body>hello</body></html>" }],
    ["versioning: half of it", VERSIONING, { body: "<VersioningConfiguration><Status>Ena" }],
  ] satisfies [string, RegExp, Reply][])("%s", async (_, matches, reply) => {
    onFirst(matches, reply);
    expect(await archive.create("a", bytesOf("x"))).toMatchObject({
      outcome: "created",
      pin: { etag: '"e"' },
    });
    expect(times(matches)).toBe(2);
    expect(await archive.traits()).toMatchObject({ versions: false });
  });

  test.each([
    ["a part without an ETag", PART, {}],
    ["a part with an error in it", PART, inside("InternalError")],
    ["an upload without a name", /^POST .*\/a\?.*uploads/, xml("<InitiateMultipartUploadResult/>")],
    ["an upload with an error in it", /^POST .*\/a\?.*uploads/, inside("SlowDown")],
    ["CompleteMultipartUpload with an error in it", /^POST .*uploadId=/, inside("InternalError")],
  ] satisfies [string, RegExp, Reply][])("%s", async (_, matches, reply) => {
    onFirst(matches, reply);
    expect(await archive.create("a", patterned(LARGE))).toMatchObject({ outcome: "created" });
    expect(times(matches)).toBe(2);
  });

  test("but no more often than another failure", async () => {
    answering = (request, response) =>
      PUT.test(`${request.method} ${request.url}`) ? inside("InternalError") : plain(request, response);
    const failure = await failureOf(archive.create("a", bytesOf("x")));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: true });
    expect(failure.problem).toMatch(/the store failed \(500 InternalError/);
    expect(times(PUT)).toBe(8);
  });

  test("a reply to the beginning of an upload that is lost leaves no second upload", async () => {
    const ids: string[] = [];
    answering = (request, response) => {
      const { method = "", url = "" } = request;
      if (url.includes("probe")) return plain(request, response);
      if (method === "POST" && /[?&]uploads/.test(url)) {
        void plain(request, response);
        ids.push(`u${ids.length}`);
        if (ids.length === 1) return void request.socket.resetAndDestroy();
        return xml(
          `<InitiateMultipartUploadResult><UploadId>${ids.at(-1)}</UploadId></InitiateMultipartUploadResult>`,
        );
      }
      if (method === "GET" && /[?&]uploads/.test(url)) {
        const uploads = ids
          .map((id) => `<Upload><Key>firnline/a</Key><UploadId>${id}</UploadId></Upload>`)
          .join("");
        return xml(
          `<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${uploads}</ListMultipartUploadsResult>`,
        );
      }
      return plain(request, response);
    };
    expect(await archive.create("a", patterned(LARGE))).toMatchObject({ outcome: "created" });
    expect(ids).toEqual(["u0", "u1"]);
    expect(asked.filter((one) => one.startsWith("DELETE") && !one.includes("probe"))).toEqual([
      expect.stringContaining("uploadId=u0"),
    ]);
  });
});

describe("a bucket of an account that the policy names", () => {
  test("is asked for in every request, by that account; without it nobody is named", async () => {
    const seen: string[] = [];
    answering = (request, response) => {
      const { "x-amz-expected-bucket-owner": owner, "x-amz-source-expected-bucket-owner": source } =
        request.headers;
      seen.push(`${String(owner)} ${String(source)}`);
      if (/^\/bucket\/?$/.test(request.url ?? "")) return {};
      return /[?&]versioning/.test(request.url ?? "")
        ? xml("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        : plain(request, response);
    };
    await archive.examine();
    expect(new Set(seen)).toEqual(new Set(["undefined undefined"]));
    seen.length = 0;
    await using own = open({}, { owner: "123456789012" });
    await own.examine();
    await own.create("a", patterned(LARGE));
    expect(new Set(seen)).toEqual(new Set(["123456789012 undefined"]));
    isThere = true;
    await own.setClass(at("a"), "GLACIER").catch(() => {});
    expect(new Set(seen)).toEqual(new Set(["123456789012 undefined", "123456789012 123456789012"]));
  });
});

describe("an encryption that the policy names", () => {
  test("is asked for by whatever makes an object, trials too: a bucket may refuse all else", async () => {
    const made = new Map<string, Set<string>>();
    answering = (request, response) => {
      const { headers, method = "", url = "" } = request;
      if (/[?&]versioning/.test(url))
        return xml("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
      const isWhole = method === "PUT" && !/[?&](?:partNumber|tagging)/.test(url);
      const isBegun = method === "POST" && /[?&]uploads/.test(url);
      if (isWhole || isBegun) {
        const what = isBegun ? "upload" : headers["x-amz-copy-source"] === undefined ? "object" : "copy";
        const own = ["x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"];
        made.set(what, (made.get(what) ?? new Set()).add(own.map((name) => headers[name]).join(" ")));
      }
      return plain(request, response);
    };
    await using own = open({}, { encryption: { mode: "SSE-KMS", key: "alias/audit" } });
    await own.create("b", bytesOf("x")).catch(() => {});
    await own.create("a", patterned(LARGE)).catch(() => {});
    isThere = true;
    await own.setClass(at("a"), "GLACIER").catch(() => {});
    const wanted = new Set(["aws:kms alias/audit"]);
    expect(Object.fromEntries(made)).toEqual({ object: wanted, upload: wanted, copy: wanted });
  });
});

describe("a restore", () => {
  test.each([
    ["GLACIER", {}, "<RestoreRequest><Days>2</Days><GlacierJobParameters><Tier>Bulk</Tier>"],
    [
      "INTELLIGENT_TIERING",
      { "x-amz-archive-status": "ARCHIVE_ACCESS" },
      "<RestoreRequest><GlacierJobParameters>",
    ],
  ])("of %s says how long its copy stays, where that is a copy", async (storageClass, headers, begins) => {
    let body = "";
    answering = (request, response) => {
      const { method = "", url = "" } = request;
      if (method === "HEAD")
        return { headers: { "content-length": "1", "x-amz-storage-class": storageClass, ...headers } };
      if (method !== "POST") return plain(request, response);
      expect(url).toContain("restore");
      body = bodies.at(-1) ?? "";
      return { status: 202 };
    };
    const restoring = { state: "restoring", readyAt: null };
    expect(await archive.restore(at("a"), { days: 2, tier: "Bulk" })).toEqual(restoring);
    expect(body.replaceAll(/<\?[^>]*>|\s+xmlns="[^"]*"|\s*\n\s*/g, "")).toContain(begins);
  });
});

describe("a store that does not know what it has not", () => {
  test("has no versions, locks or tags, and takes objects all the same", async () => {
    answering = (request, response) =>
      /[?&](?:versioning|object-lock|tagging)/.test(request.url ?? "")
        ? { status: 501, body: errorDocument("NotImplemented") }
        : plain(request, response);
    expect(await archive.traits()).toEqual({ versions: false, namesVersions: false, locks: false });
    expect((await archive.create("a", bytesOf("x"))).outcome).toBe("created");
    isThere = true;
    expect(await archive.head(at("a"))).toMatchObject({ versionId: null, tags: {} });
    const failure = await failureOf(archive.tag(at("a"), { b: "c" }));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false });
  });
});

describe("a listing", () => {
  const list = async (): Promise<string[]> =>
    (await Array.fromAsync(archive.list("a"))).map(({ key }) => key);
  const pages = (...all: readonly Reply[]): void => {
    const left = [...all];
    answering = (request, response) =>
      LIST.test(`${request.method} ${request.url}`)
        ? (left.shift() ?? listing([]))
        : plain(request, response);
  };

  test("is all of its pages", async () => {
    pages(listing(["a1", "a2"], "t1"), listing([], "t2"), listing(["a3"]));
    expect(await list()).toEqual(["a1", "a2", "a3"]);
  });

  test.each([
    ["an error", inside("InternalError")],
    ["nothing", {}],
    ["a document that breaks off", { body: String(listing(["a1", "a2"]).body).slice(0, -10) }],
  ] satisfies [string, Reply][])("that is %s is asked for again, and is not empty", async (_, reply) => {
    pages(reply, listing(["a1", "a2"]));
    expect(await list()).toEqual(["a1", "a2"]);
  });

  test.each([
    ["has more and does not say where", [listing(["a1"], "")], /says that there is more/],
    ["goes round in circles", [listing(["a1"], "t"), listing(["a2"], "t")], /says that there is more/],
    ["is out of order", [listing(["a2", "a1"])], /not in order \(a1 after a2\)/],
    ["has a key twice", [listing(["a1"], "t"), listing(["a1"])], /not in order \(a1 after a1\)/],
  ] satisfies [string, Reply[], RegExp][])("that %s is an error", async (_, replies, problem) => {
    pages(...replies);
    const failure = await failureOf(list());
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false, op: "archive.list" });
    expect(failure.problem).toMatch(problem);
  });

  test.each([
    ["is out of order", [["a2", "v1"]], [["a1", "v1"]], /not in order \(a1 after a2\)/],
    ["has a version twice", [["a1", "v1"]], [["a1", "v1"]], /not in order/],
    ["has a key on two pages", [["a1", "v2"]], [["a1", "v1"]], null],
  ] as const)("of versions that %s", async (_, first, second, problem) => {
    const page = (versions: readonly (readonly [string, string])[], isTruncated: boolean): Reply => {
      const all = versions.map(
        ([key, id]) =>
          `<Version><Key>firnline/${key}</Key><VersionId>${id}</VersionId><Size>1</Size></Version>`,
      );
      const next = isTruncated ? "<NextKeyMarker>k</NextKeyMarker>" : "";
      return xml(
        `<ListVersionsResult><IsTruncated>${isTruncated}</IsTruncated>${next}${all.join("")}</ListVersionsResult>`,
      );
    };
    answering = (request, response) => {
      const { url = "" } = request;
      if (/[?&]versioning/.test(url))
        return xml("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
      if (!/[?&]versions/.test(url)) return plain(request, response);
      return url.includes("key-marker") ? page(second, false) : page(first, true);
    };
    const reading = Array.fromAsync(archive.listVersions("a"));
    if (problem === null) expect((await reading).map(({ versionId }) => versionId)).toEqual(["v2", "v1"]);
    else expect((await failureOf(reading)).problem).toMatch(problem);
  });
});

describe("an answer that does not come to its end", () => {
  test("is left in time, and asked for again", async () => {
    const hasty = open({ FIRNLINE_S3_ANSWER_MS: "150" });
    let hung = 0;
    answering = (request, response) => {
      if (!VERSIONING.test(`${request.method} ${request.url}`) || hung === 2) return plain(request, response);
      hung += 1;
      response.writeHead(200, { "content-length": "1000" });
      response.write("<VersioningConfiguration>");
    };
    expect(await hasty.traits()).toMatchObject({ versions: false });
    expect(times(VERSIONING)).toBe(3);
    await hasty[Symbol.asyncDispose]();
  });

  test("by a byte now and then, in its headers or after them, is left in time", async () => {
    const hasty = open({ FIRNLINE_S3_ANSWER_MS: "150", FIRNLINE_S3_ATTEMPTS: "3" });
    for (const isInHeaders of [true, false]) {
      answering = (request, response) => {
        const { socket } = request;
        if (isInHeaders) socket.write("HTTP/1.1 200 OK\r\nx-a: ");
        else response.writeHead(200, { "content-length": "100000" });
        const drip = setInterval(() => (isInHeaders ? socket : response).write("a"), 20);
        socket.on("close", () => clearInterval(drip));
      };
      const failure = await failureOf(hasty.traits());
      expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: true });
      expect(failure.problem).toMatch(/did not answer in time/);
    }
    await hasty[Symbol.asyncDispose]();
  });

  test("is left at once by whoever is asked to stop", async () => {
    const stop = new AbortController();
    answering = (request, response) => {
      if (!PUT.test(`${request.method} ${request.url}`)) return plain(request, response);
      response.writeHead(200, { "content-length": "1000" });
      response.write("<");
      setTimeout(() => stop.abort(), 20);
    };
    const failure = await failureOf(archive.create("a", bytesOf("x"), { signal: stop.signal }));
    expect(failure).toMatchObject({ code: "E_INTERRUPTED" });
  });

  test.each(["hangs", "breaks off"])(
    "of a refusal that %s is asked for again: it has the words",
    async (how) => {
      const hasty = open({ FIRNLINE_S3_ANSWER_MS: "150" });
      let left = 2;
      answering = (request, response) => {
        if (left-- === 0) return { status: 403, body: errorDocument("RequestTimeTooSkewed") };
        response.writeHead(403, { "content-length": "1000" });
        response.write("<Error>", () => {
          if (how === "breaks off") setTimeout(() => request.socket.resetAndDestroy(), 20);
        });
      };
      expect(await failureOf(hasty.traits())).toMatchObject({ code: "E_CLOCK" });
      expect(asked).toHaveLength(3);
      await hasty[Symbol.asyncDispose]();
    },
  );
});

describe("an answer without an end (I10)", () => {
  const piece = Buffer.alloc(MIB, " ");
  let sent: number;
  /** Goes on for as long as somebody takes it. */
  const endless = (response: ServerResponse, status: number): void => {
    sent = 0;
    response.writeHead(status, { "content-type": "application/xml" });
    const send = (): void => {
      while (!response.destroyed) {
        sent += piece.byteLength;
        if (!response.write(piece)) {
          response.once("drain", send);
          return;
        }
      }
    };
    send();
  };

  test.each([
    ["of a refusal", 403, /does not allow it/],
    ["of a listing", 200, /more than 16777216 bytes/],
  ])("%s is not taken into memory", async (_, status, problem) => {
    const single = open({ FIRNLINE_S3_ATTEMPTS: "1" });
    answering = (request, response) => {
      if (!LIST.test(`${request.method} ${request.url}`)) return plain(request, response);
      endless(response, status);
    };
    const failure = await failureOf(Array.fromAsync(single.list("a")));
    expect(failure).toMatchObject({ code: "E_ARCHIVE" });
    expect(failure.problem).toMatch(problem);
    expect(sent).toBeLessThan(64 * MIB);
    await single[Symbol.asyncDispose]();
  });
});

describe("bytes of something else", () => {
  const body = patterned(1_000);
  const get = /^GET .*x-id=GetObject/;
  const reading = (...replies: readonly (Reply | "reset after 100")[]): void => {
    const left = [...replies];
    answering = (request, response) => {
      if (!get.test(`${request.method} ${request.url}`)) return plain(request, response);
      const reply = left.shift();
      if (reply !== "reset after 100") return reply ?? { status: 404, body: errorDocument("NoSuchKey") };
      response.writeHead(200, { etag: '"e"', "content-length": String(body.byteLength) });
      response.write(body.subarray(0, 100), () => setTimeout(() => request.socket.resetAndDestroy(), 20));
    };
  };
  const rest: Reply = {
    status: 206,
    headers: { etag: '"e"', "content-range": "bytes 100-999/1000" },
    body: body.subarray(100),
  };

  test("a body that breaks off is read on", async () => {
    reading("reset after 100", rest);
    expectBytes(await readAll(archive, at("a")), body);
  });

  test("the rest of another object is refused, where the store ignores If-Match", async () => {
    reading("reset after 100", { ...rest, headers: { ...rest.headers, etag: '"other"' } });
    expect((await failureOf(readAll(archive, at("a")))).problem).toMatch(/replaced while it was read/);
  });

  test("a part is refused where the whole was asked for", async () => {
    reading(rest);
    expect((await failureOf(readAll(archive, at("a")))).problem).toMatch(
      /other bytes than those that were asked for \(all bytes; its answer was 206 with bytes 100-999\/1000\)/,
    );
  });

  test("fewer bytes than the answer promises, again and again, are an error", async () => {
    const beyond = (): Reply => ({ status: 416, body: errorDocument("InvalidRange") });
    reading("reset after 100", ...Array.from({ length: 20 }, beyond));
    expect(await failureOf(readAll(archive, at("a")))).toMatchObject({ code: "E_ARCHIVE" });
  });

  test("a redirect to where machines keep credentials is not followed", async () => {
    answering = () => ({ status: 307, headers: { location: "http://169.254.169.254/latest/meta-data/" } });
    expect(await failureOf(readAll(archive, at("a"), { start: 0, end: 1 }))).toMatchObject({
      code: "E_BUCKET",
    });
    expect(asked).toHaveLength(1);
  });
});

describe("what is tried out before", () => {
  const HEAD_BUCKET = /^HEAD \/bucket\/? ?$|^HEAD \/bucket\?|^HEAD \/bucket$/;
  /** As the plain bucket, which is there and refuses a key that it has. */
  const honest = (): Answering => {
    const keys = new Set<string>();
    return (request, response) => {
      const { method = "", url = "" } = request;
      const [path = ""] = url.split("?");
      if (HEAD_BUCKET.test(`${method} ${path}`)) return {};
      if (!path.includes("_firnline/_probe") || url.includes("partNumber")) return plain(request, response);
      if (method === "PUT" && keys.has(path))
        return { status: 412, body: errorDocument("PreconditionFailed") };
      if (method === "PUT") {
        keys.add(path);
        creation = String(request.headers["x-amz-meta-firnline-creation"]);
      }
      if (method === "HEAD") return { headers: { "x-amz-meta-firnline-creation": creation } };
      return method === "PUT" ? OK : plain(request, response);
    };
  };
  /** The first `failures` requests that match are answered so. */
  const failing = (matches: RegExp, failures: number, reply: Reply | "reset"): void => {
    const then = honest();
    let left = failures;
    answering = (request, response) => {
      const [path = "", query = ""] = (request.url ?? "").split("?");
      const isFailing = matches.test(`${request.method} ${path}?${query}`) && left-- > 0;
      if (!isFailing) return then(request, response);
      if (reply !== "reset") return reply;
      void then(request, response);
      return void request.socket.resetAndDestroy();
    };
  };
  const problems = async (): Promise<string[]> =>
    (await archive.examine()).findings.map(
      ({ code, problem, retryable }) => `${code} ${retryable} ${problem}`,
    );
  const PROBE = /^PUT .*_firnline\/_probe\/\w+\?x-id=PutObject/;

  test("finds nothing wrong with a plain bucket", async () => {
    failing(/never/, 0, {});
    expect(await problems()).toEqual([]);
  });

  test("a store that is busy is waited for at the first question", async () => {
    failing(/^HEAD \/bucket\/?\?/, 20, { status: 503 });
    expect(await problems()).toEqual([]);
  });

  test("a store that fails is asked three times, and that it was not examined is a finding", async () => {
    failing(/^HEAD \/bucket\/?\?/, 2, { status: 500 });
    expect(await problems()).toEqual([]);
    failing(/^HEAD \/bucket\/?\?/, 3, { status: 500 });
    expect(await problems()).toEqual([expect.stringMatching(/^E_ARCHIVE true the store failed/)]);
  });

  test("a trial whose reply is lost is made again, under another name", async () => {
    failing(PROBE, 1, "reset");
    expect(await problems()).toEqual([]);
    const names = asked.filter((one) => PROBE.test(one)).map((one) => one.split("?")[0]);
    expect(names).toHaveLength(3);
    expect(new Set(names).size).toBe(2);
    // Each is removed.
    for (const name of new Set(names))
      expect(asked.some((one) => one.startsWith((name as string).replace("PUT", "DELETE")))).toBe(true);
  });

  test("a part that did not come is no checksum that was compared", async () => {
    failing(/^PUT .*_firnline\/_probe\/\w+\?.*partNumber/, 1, {
      status: 400,
      body: errorDocument("RequestTimeout"),
    });
    expect((await archive.examine()).advice.map(({ problem }) => problem).join()).not.toMatch(/no checksum/);
    // The first one was asked again.
    expect(times(/^PUT .*partNumber/)).toBe(2);
  });
});

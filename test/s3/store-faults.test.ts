/** A bucket behind a network and a store that fail: each promise of the port holds, or the error says what to do. */
import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { Archive } from "../../src/archive/port.ts";
import type { EpochMs } from "../../src/rows/day.ts";
import {
  at,
  bytesOf,
  created,
  expectBytes,
  failureOf,
  MIB,
  patterned,
  readAll,
} from "../conformance/archive/harness.ts";
import { openBucket, unfinishedUploads } from "../conformance/archive/s3-bucket.ts";
import {
  type Asked,
  errorDocument,
  type Fate,
  type HttpProxy,
  PASS,
  startHttpProxy,
} from "../support/http-proxy.ts";
import { clientOf, describeOn, saw } from "../support/s3-server.ts";

const isPut = ({ method, url }: Asked): boolean => method === "PUT" && url.includes("x-id=PutObject");
const isGet = ({ method, url }: Asked): boolean => method === "GET" && url.includes("x-id=GetObject");
const isPart = ({ method, url }: Asked): boolean => method === "PUT" && url.includes("partNumber=");
const isComplete = ({ method, url }: Asked): boolean => method === "POST" && /[?&]uploadId=/.test(url);

/** `fate` for the first `times` requests that match. */
function first(times: number, matches: (asked: Asked) => boolean, fate: Fate): (asked: Asked) => Fate {
  let left = times;
  return (asked) => (matches(asked) && left-- > 0 ? fate : PASS);
}

const answer = (status: number, code: string, headers: Record<string, string> = {}): Fate => ({
  kind: "answer",
  status,
  body: errorDocument(code),
  headers,
});

await describeOn("ceph", "faults", (server) => {
  const LARGE = 11 * MIB;
  const large = patterned(LARGE);
  let client: S3Client;
  let bucket: string;
  let proxy: HttpProxy;
  let archive: Archive;
  let key: string;

  const open = (environ: Record<string, string> = {}): Archive =>
    openBucket({ ...server, endpoint: proxy.endpoint }, bucket, {
      environ: { FIRNLINE_S3_PAUSE_MS: "10", ...environ },
    });
  const asked = (matches: (one: Asked) => boolean): number => proxy.asked.filter(matches).length;
  const versions = async (): Promise<number> => (await Array.fromAsync(archive.listVersions(key))).length;

  beforeAll(async () => {
    client = clientOf(server);
    bucket = await server.newBucket();
  });
  afterAll(() => client.destroy());
  beforeEach(async () => {
    proxy = await startHttpProxy(server.endpoint);
    archive = open();
    key = `a/${randomBytes(6).toString("hex")}.parquet`;
  });
  afterEach(async () => {
    proxy.script(() => PASS);
    expect(await unfinishedUploads(client, bucket)).toEqual([]);
    await archive[Symbol.asyncDispose]();
    await proxy[Symbol.asyncDispose]();
  });

  test("SlowDown twenty times is waited out", async () => {
    proxy.script(first(20, isPut, answer(503, "SlowDown")));
    expect((await archive.create(key, bytesOf("x"))).outcome).toBe("created");
    expect(asked(isPut)).toBe(21);
    saw(server, "SlowDown x20 is waited out");
  });

  test("a store that is busy for ever is an error to try again later", async () => {
    proxy.script((one) => (isPut(one) ? answer(503, "SlowDown") : PASS));
    const failure = await failureOf(open({ FIRNLINE_S3_ATTEMPTS: "3" }).create(key, bytesOf("x")));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: true, op: "archive.create", key });
    expect(failure.message).toMatch(/503 SlowDown/);
    expect(asked(isPut)).toBe(3);
  });

  test.each<[string, Fate]>([
    ["500 after the store took it", { kind: "replace", status: 500, body: errorDocument("InternalError") }],
    ["a reply that is lost", { kind: "lose" }],
  ])("%s: created, and by us", async (title, fate) => {
    for (const [body, matches] of [
      [bytesOf("x"), isPut],
      [large, isComplete],
    ] as const) {
      key = `a/${randomBytes(6).toString("hex")}.parquet`;
      proxy.script(first(1, matches, fate));
      const result = await archive.create(key, body);
      expect(result.outcome).toBe("created");
      const head = await archive.head(at(key));
      expect(result).toMatchObject({ pin: { etag: head?.etag, bytes: BigInt(body.byteLength) } });
      expect(await versions()).toBe(1);
      // And whoever comes later is told so.
      expect(await archive.create(key, body)).toEqual({ outcome: "exists" });
    }
    saw(server, `${title} is found out`);
  });

  test("a reply that is lost of an object that is locked at once: created, and by us", async () => {
    const locked = await server.newBucket({ locked: true });
    await using own = openBucket({ ...server, endpoint: proxy.endpoint }, locked, {
      environ: { FIRNLINE_S3_PAUSE_MS: "10" },
    });
    await created(own, "first", bytesOf("x")); // what the store can do is asked before
    proxy.script(first(1, isPut, { kind: "lose" }));
    const until = (Date.now() + 20_000) as EpochMs;
    const result = await own.create(key, bytesOf("x"), { retention: { mode: "GOVERNANCE", until } });
    const all = await Array.fromAsync(own.listVersions(key));
    expect(all).toHaveLength(2); // the younger one cannot be removed, and says the same
    expect(result).toMatchObject({ outcome: "created", pin: { versionId: all.at(-1)?.versionId } });
    expect(await own.create(key, bytesOf("x"))).toEqual({ outcome: "exists" });
  });

  test.each([
    ["an error", errorDocument("InternalError")],
    ["an error that the SDK takes for a result", `${errorDocument("InternalError")}\n`],
    ["nothing", ""],
    ["no XML", "<html>"],
  ])("CompleteMultipartUpload that answers 200 with %s is tried again", async (_, body) => {
    proxy.script(first(1, isComplete, { kind: "answer", status: 200, body }));
    const result = await archive.create(key, large);
    expect(result.outcome).toBe("created");
    expectBytes(await readAll(archive, at(key)), large);
    expect(asked(isComplete)).toBe(2);
  });

  test("CompleteMultipartUpload that never succeeds leaves nothing", async () => {
    proxy.script((one) => (isComplete(one) ? answer(200, "InternalError") : PASS));
    const failure = await failureOf(archive.create(key, large));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: true });
    expect(await archive.head(at(key))).toBeNull();
  });

  test("a part that fails is sent again, the others are not", async () => {
    proxy.script(
      first(1, (one) => isPart(one) && one.url.includes("partNumber=2"), answer(500, "InternalError")),
    );
    expect((await archive.create(key, large)).outcome).toBe("created");
    expect(asked((one) => isPart(one) && !one.url.includes("_firnline/_probe"))).toBe(4); // 3 parts, one twice
    expectBytes(await readAll(archive, at(key)), large);
  });

  test("a part that is refused ends the upload", async () => {
    proxy.script((one) =>
      isPart(one) && one.url.includes("partNumber=2") ? answer(403, "AccessDenied") : PASS,
    );
    const failure = await failureOf(archive.create(key, large));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false });
    expect(failure.hint).toMatch(/s3:PutObject/);
    expect(await archive.head(at(key))).toBeNull();
  });

  test("a conflict with another writer is tried again", async () => {
    for (const [body, matches] of [
      [bytesOf("x"), isPut],
      [large, isComplete],
    ] as const) {
      key = `a/${randomBytes(6).toString("hex")}.parquet`;
      const before = asked(matches);
      proxy.script(first(2, matches, answer(409, "ConditionalRequestConflict")));
      expect((await archive.create(key, body)).outcome).toBe("created");
      expect(asked(matches) - before).toBe(3);
    }
  });

  test("a body that breaks off is read on where it stopped", async () => {
    await created(archive, key, large);
    proxy.script(first(2, isGet, { kind: "cut", bytes: 3 * MIB }));
    expectBytes(await readAll(archive, at(key)), large);
    const ranges = proxy.asked.filter(isGet).map(({ headers }) => headers["range"] ?? "all");
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBe("all");
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-\d+$/.test(String(range)))).toBe(true);
    expectBytes(await readAll(archive, at(key), { start: 5, end: LARGE - 5 }), large.subarray(5, LARGE - 5));
    saw(server, "a body that breaks off is read on");
  });

  test("an object that is replaced in between is not read on", async () => {
    await created(archive, key, large);
    let isCut = false;
    proxy.script((one) => {
      if (!isGet(one) || isCut) return PASS;
      isCut = true;
      return { kind: "cut", bytes: MIB };
    });
    const reading = (async () => {
      let isReplaced = false;
      for await (const _ of archive.read(at(key))) {
        if (isReplaced) continue;
        isReplaced = true;
        await client.send(
          new PutObjectCommand({ Bucket: bucket, Key: `firnline/${key}`, Body: patterned(LARGE, 7) }),
        );
      }
    })();
    const failure = await failureOf(reading);
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false });
    expect(failure.problem).toMatch(/replaced/);
  });

  test("a body that never gives a byte is given up", async () => {
    await created(archive, key, bytesOf("0123456789"));
    proxy.script((one) => (isGet(one) ? { kind: "cut", bytes: 0 } : PASS));
    const failure = await failureOf(readAll(archive, at(key)));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: true });
    expect(failure.problem).toMatch(/broke off again and again/);
  });

  test("a hundred bodies that hang are left, and their connections freed", async () => {
    const body = patterned(200_000);
    await created(archive, key, body);
    const patient = open({ FIRNLINE_S3_SILENCE_MS: "200", FIRNLINE_S3_SOCKETS: "8" });
    proxy.script(first(100, isGet, { kind: "hang", bytes: 1_000 }));
    const before = proxy.connections();
    const readers = Array.from({ length: 100 }, async () =>
      expectBytes(await readAll(patient, at(key)), body),
    );
    await Promise.all(readers);
    expect(asked(isGet)).toBeGreaterThanOrEqual(200); // a busy machine may be silent for that long by itself
    expect(proxy.connections() - before).toBeLessThanOrEqual(8);
    await patient[Symbol.asyncDispose]();
    await expect.poll(() => proxy.connections(), { timeout: 60_000 }).toBeLessThanOrEqual(before);
    saw(server, "hung bodies x100 are left, sockets freed");
  });

  test("a store that never answers is left in time", async () => {
    proxy.script(() => ({ kind: "silence" }));
    const hasty = open({ FIRNLINE_S3_ANSWER_MS: "50", FIRNLINE_S3_ATTEMPTS: "6" });
    const failure = await failureOf(hasty.head(at(key)));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: true });
    expect(failure.problem).toMatch(/did not answer in time/);
    expect(proxy.asked).toHaveLength(2);
    await hasty[Symbol.asyncDispose]();
  });

  test("nobody listens: an error to try again, with what to check", async () => {
    const nobody = openBucket({ ...server, endpoint: "http://127.0.0.1:9" }, bucket, {
      environ: { FIRNLINE_S3_ATTEMPTS: "3" },
    });
    const failure = await failureOf(nobody.head(at(key)));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: true });
    expect(failure.message).toMatch(/ECONNREFUSED.*archive\.endpoint/);
  });

  test("an answer that is no XML is an error of the store", async () => {
    proxy.script(() => ({ kind: "answer", status: 200, body: "<html>not this</p>" }));
    const failure = await failureOf(Array.fromAsync(archive.list("")));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: true });
  });

  test("a redirect is not followed", async () => {
    proxy.script(() => answer(307, "TemporaryRedirect", { location: `${server.endpoint}/elsewhere` }));
    const failure = await failureOf(archive.create(key, bytesOf("x")));
    expect(failure).toMatchObject({ code: "E_BUCKET", retryable: false });
    expect(failure.hint).toMatch(/archive\.region/);
    expect(proxy.asked).toHaveLength(1);
  });

  test("a clock that is wrong is named, also where the answer has no words", async () => {
    proxy.script(() => answer(403, "RequestTimeTooSkewed"));
    expect((await failureOf(archive.create(key, bytesOf("x")))).code).toBe("E_CLOCK");
    const date = new Date(Date.now() - 3_600_000).toUTCString();
    proxy.script(() => ({ kind: "answer", status: 403, body: "", headers: { date } }));
    const failure = await failureOf(archive.head(at(key)));
    expect(failure).toMatchObject({ code: "E_CLOCK", retryable: false });
    expect(failure.problem).toMatch(/ahead/);
  });

  test("a HEAD that is refused without words: the hint names the token and the region", async () => {
    proxy.script(({ method }) => (method === "HEAD" ? { kind: "answer", status: 400, body: "" } : PASS));
    const failure = await failureOf(archive.head(at(key)));
    expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false });
    expect(failure.hint).toMatch(/session token has expired.*archive\.region/);
  });

  test("a cold object says so in the middle of everything", async () => {
    await created(archive, key, bytesOf("x"));
    proxy.script((one) => (isGet(one) ? answer(403, "InvalidObjectState") : PASS));
    expect(await failureOf(readAll(archive, at(key)))).toMatchObject({ code: "E_COLD", retryable: false });
  });

  test("wrong credentials are an error without the credentials", async () => {
    const [secret, token] = [randomBytes(20).toString("hex"), randomBytes(20).toString("hex")];
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", secret);
    vi.stubEnv("AWS_SESSION_TOKEN", token);
    // As AWS does, and not every store: it repeats what it was asked.
    const repeating = ({ headers }: Asked): Fate => {
      const its = String(headers["x-amz-security-token"]);
      const fields = `<CanonicalRequest>${its}</CanonicalRequest><Token-0>${its}</Token-0>`;
      const body = errorDocument("SignatureDoesNotMatch").replace("</Error>", `${fields}</Error>`);
      expect(body).toContain(token);
      return { kind: "answer", status: 403, body };
    };
    try {
      for (const script of [() => PASS, repeating]) {
        proxy.script(script);
        const failure = await failureOf(open().create(key, bytesOf("x")));
        expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false });
        expect(failure.hint).toMatch(/AWS_ACCESS_KEY_ID/);
        const all = inspect(failure, { depth: null, showHidden: true });
        for (const one of [secret, token]) expect(all).not.toContain(one);
      }
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

await describeOn("moto", "a store that ignores Range", (server) => {
  let proxy: HttpProxy;
  beforeEach(async () => void (proxy = await startHttpProxy(server.endpoint)));
  afterEach(async () => await proxy[Symbol.asyncDispose]());

  test("is an error, never other bytes; a whole object it can send", async () => {
    await using archive = openBucket(
      { ...server, endpoint: proxy.endpoint },
      await server.newBucket({ versioned: true }),
      { environ: { FIRNLINE_S3_PAUSE_MS: "10" } },
    );
    const body = patterned(200_000);
    const object = await created(archive, "a", body);
    expectBytes(await readAll(archive, object, { start: 100, end: 104 }), body.subarray(100, 104));
    const without: Fate = { kind: "without", header: "range" };
    proxy.script(() => without);
    expectBytes(await readAll(archive, object), body);
    for (const range of [
      { start: 100, end: 104 },
      { start: 0, end: 4 },
    ]) {
      const failure = await failureOf(readAll(archive, object, range));
      expect(failure).toMatchObject({ code: "E_ARCHIVE", retryable: false, op: "archive.read", key: "a" });
      expect(failure.message).toMatch(/200 with no Content-Range.*Range/);
    }
    // Where a body broke off, the rest is a range too.
    let isCut = false;
    proxy.script((one) => {
      if (!isGet(one) || isCut) return without;
      isCut = true;
      return { kind: "cut", bytes: 50_000 };
    });
    expect((await failureOf(readAll(archive, object))).message).toMatch(/other bytes than those/);
    saw(server, "Range ignored: an error");
  });

  test("or sends another range", async () => {
    await using archive = openBucket(
      { ...server, endpoint: proxy.endpoint },
      await server.newBucket({ versioned: true }),
    );
    const object = await created(archive, "a", patterned(1_000));
    const headers = { "content-range": "bytes 0-3/1000" };
    proxy.script((one) => (isGet(one) ? { kind: "answer", status: 206, body: "abcd", headers } : PASS));
    const failure = await failureOf(readAll(archive, object, { start: 100, end: 104 }));
    expect(failure.message).toMatch(/206 with bytes 0-3\/1000/);
  });
});

await describeOn("moto", "a store that ignores If-None-Match", (server) => {
  let proxy: HttpProxy;
  beforeEach(async () => {
    proxy = await startHttpProxy(server.endpoint);
    proxy.script(() => ({ kind: "without", header: "if-none-match" }));
  });
  afterEach(async () => await proxy[Symbol.asyncDispose]());

  test("is refused by doctor where there are no versions", async () => {
    const bucket = await server.newBucket();
    await using archive = openBucket({ ...server, endpoint: proxy.endpoint }, bucket);
    const { findings } = await archive.examine();
    expect(findings).toMatchObject([{ code: "E_BUCKET" }]);
    expect(findings[0]?.problem).toMatch(/ignores If-None-Match/);
    expect(await Array.fromAsync(archive.listVersions(""))).toEqual([]);
    saw(server, "If-None-Match ignored: doctor refuses");
  });

  test("is watched where there are: one of many creators wins, its version stays, and a lost reply is found out", async () => {
    const bucket = await server.newBucket({ versioned: true });
    await using archive = openBucket({ ...server, endpoint: proxy.endpoint }, bucket);
    const { findings, advice } = await archive.examine();
    expect(findings).toEqual([]);
    expect(advice.map(({ problem }) => problem).join()).toMatch(/ignores If-None-Match/);
    const results = await Promise.all(
      [1, 2, 3, 4].map(async (n) => await archive.create("a", bytesOf(`${n}`))),
    );
    expect(results.filter(({ outcome }) => outcome === "created")).toHaveLength(1);
    expect(await Array.fromAsync(archive.listVersions("a"))).toHaveLength(1);
    expect(await archive.create("a", bytesOf("later"))).toEqual({ outcome: "exists" });

    let isLost = false;
    proxy.script((one) => {
      if (isLost || !isPut(one)) return { kind: "without", header: "if-none-match" };
      isLost = true;
      return { kind: "lose" };
    });
    const pin = await created(archive, "b", bytesOf("x"));
    expect((await Array.fromAsync(archive.listVersions("b"))).map(({ versionId }) => versionId)).toEqual([
      pin.versionId,
    ]);
  });
});

/**
 * Secrets that must be found nowhere: every one is a canary, every command is run with them, well and in vain, as text, as
 * JSON and with --debug; then all that was printed, written, stored and sent is searched for them.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { auditRows } from "../support/audit-rows.ts";
import { errorDocument, type HttpProxy, PASS, startHttpProxy } from "../support/http-proxy.ts";
import { runAlone } from "../support/postgres.ts";
import { clientOf, describeOn, s3Server } from "../support/s3-server.ts";
import { AS_OF, LAST_COLD, LAST_DUE, Scenario } from "../support/scenario.ts";
import { type Ending, firnline } from "../cli/command-line.ts";

const SECRETS = {
  password: "c4naryPassw0rd%/?#&'\"end",
  wrongPassword: "c4naryWr0ng:@%end",
  secretKey: "c4narySecretKey/with+slash=end",
  sessionToken: "c4narySessionToken//of+a+hundred=end",
};
/** A piece that survives every encoding, and all of the secret in base64. */
const TRACES = [
  /c4nary/i,
  ...Object.values(SECRETS).map(
    (secret) => new RegExp(escaped(Buffer.from(secret).toString("base64").slice(0, -4))),
  ),
];

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

const form = (at: number): string[] => (at % 2 === 0 ? ["--debug"] : ["--json", "--debug"]);
const RANGE = ["--from", "2025-12-01", "--to", "2026-02-28"];

// moto takes any credentials, so canaries work there.
await describeOn("moto", "secrets", (server) => {
  let scenario: Scenario;
  let proxy: HttpProxy;
  let role: string;
  let bucket: string;
  const outputs: Record<string, string> = {};

  beforeAll(async () => {
    bucket = await server.newBucket({ versioned: true });
    proxy = await startHttpProxy(server.endpoint);
    const place = { ...(await s3Server("moto")), endpoint: proxy.endpoint };
    scenario = await Scenario.create({ archive: { server: place, bucket } });
    role = `keeper_of_${scenario.database}`;
    const password = SECRETS.password.replaceAll("'", "''");
    await scenario.query(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '${password}'`);
    await scenario.insert(auditRows(LAST_COLD, 1, 60));
    await scenario.insert(auditRows(LAST_DUE, 1_001, 60));
    await scenario.insert(auditRows("2026-02-20", 2_001, 20));
  });
  afterAll(async () => {
    await scenario?.query(`DROP ROLE IF EXISTS ${role}`);
    await scenario?.[Symbol.asyncDispose]();
    await proxy?.[Symbol.asyncDispose]();
  });

  function url(changes: { password?: string; host?: string; database?: string } = {}): string {
    const changed = new URL(scenario.url);
    changed.username = role;
    changed.password = encodeURIComponent(changes.password ?? SECRETS.password);
    if (changes.host !== undefined) changed.host = changes.host;
    if (changes.database !== undefined) changed.pathname = `/${changes.database}`;
    return changed.href;
  }

  async function cli(
    args: readonly string[],
    environ: Readonly<Record<string, string>> = {},
  ): Promise<Ending> {
    const ending = await firnline([...args, "--folder", scenario.policies], {
      environ: {
        ...server.environ,
        AWS_SECRET_ACCESS_KEY: SECRETS.secretKey,
        AWS_SESSION_TOKEN: SECRETS.sessionToken,
        DATABASE_URL: url(),
        FIRNLINE_S3_ATTEMPTS: "2",
        FIRNLINE_S3_PAUSE_MS: "1",
        ...environ,
      },
    });
    outputs[`${args.join(" ")} ${JSON.stringify(Object.keys(environ))}`] = ending.stdout + ending.stderr;
    return ending;
  }

  function expectNoTrace(places: Readonly<Record<string, string>>): void {
    const found = Object.entries(places).filter(([name, text]) =>
      TRACES.some((trace) => trace.test(name) || trace.test(text)),
    );
    expect(found).toEqual([]);
  }

  test("a canary is seen where it is", () => {
    for (const secret of Object.values(SECRETS)) {
      const forms = [
        secret,
        encodeURIComponent(secret),
        JSON.stringify(secret),
        Buffer.from(secret).toString("base64"),
      ];
      for (const written of forms)
        expect(() => expectNoTrace({ place: `x${written}x` })).toThrow("to deeply equal");
    }
  });

  test("are in nothing that is printed, while all goes well", async () => {
    const out = join(scenario.folder, "answer.csv");
    const well: readonly (readonly string[])[] = [
      ["migrate"],
      ["doctor"],
      ["plan", "--as-of", AS_OF],
      ["run", "--as-of", AS_OF],
      ["status", "--as-of", AS_OF, "--history"],
      ["retrieve", "audit_logs", ...RANGE, "--out", out, "--yes"],
      ["restores", "--all"],
      ["verify", "--deep"],
      ["hold", "add", "audit_logs", ...RANGE, "--reason", "case 17"],
      ["lifecycle", "print"],
      ["collect"],
      ["catalog", "rebuild", "audit_logs", "--yes"],
      ["adopt", "audit_logs", "--yes"],
    ];
    for (const [at, args] of well.entries()) {
      const ending = await cli([...args, ...form(at)]);
      expect({ args, ...ending }).toMatchObject({ code: 0, signal: null });
    }
    const init = await firnline(["init", "--table", "public.audit_logs", "--debug"], {
      environ: { DATABASE_URL: url() },
    });
    expect(init.code).toBe(0);
    outputs["init"] = init.stdout + init.stderr;
    // They were used: the store was shown the token by every request.
    expect(proxy.asked.length).toBeGreaterThan(20);
    expect(new Set(proxy.asked.map(({ headers }) => headers["x-amz-security-token"]))).toEqual(
      new Set([SECRETS.sessionToken]),
    );
    expectNoTrace(outputs);
  });

  test("are in nothing that is printed, while everything fails", async () => {
    const DATABASES: Readonly<Record<string, string>> = {
      "wrong password": url({ password: SECRETS.wrongPassword }),
      "wrong host": url({ host: "nowhere.invalid" }),
      "closed port": url({ host: "127.0.0.1:9" }),
      "wrong database": url({ database: "nowhere" }),
      "bad escape": url().replace("%25", "%zz"),
      "no URL": `host=localhost password=${SECRETS.password}`,
    };
    for (const [at, DATABASE_URL] of Object.values(DATABASES).entries()) {
      const { code } = await cli(["run", ...form(at)], { DATABASE_URL });
      expect(code).toBeGreaterThan(0);
    }
    // What a store says is printed, and it may say what it was sent.
    const repeat =
      (status: number, code: string) => (asked: { headers: Readonly<Record<string, unknown>> }) => {
        const sent = `${String(asked.headers["x-amz-security-token"])} ${String(asked.headers["authorization"])}`;
        const request = `<CanonicalRequest>${sent}</CanonicalRequest></Error>`;
        const body = errorDocument(code, `no: ${sent}`).replace("</Error>", request);
        return { kind: "answer", status, body } as const;
      };
    const retrieve = ["retrieve", "audit_logs", ...RANGE, "--out", join(scenario.folder, "never")];
    for (const [at, [status, said, args]] of (
      [
        [403, "SignatureDoesNotMatch", ["run", "--as-of", AS_OF]],
        [403, "SignatureDoesNotMatch", ["doctor"]],
        [403, "AccessDenied", retrieve],
        [400, "ExpiredToken", ["run", "--as-of", AS_OF]],
        [404, "NoSuchBucket", ["run", "--as-of", AS_OF]],
        [500, "InternalError", retrieve],
        [500, "InternalError", ["verify"]],
      ] as const
    ).entries()) {
      proxy.script(repeat(status, said));
      const ending = await cli([...args, ...form(at)]);
      expect({ args, said, ...ending }).not.toMatchObject({ code: 0 });
    }
    proxy.script(() => PASS);
    expectNoTrace(outputs);
  });

  test("are in no row of the catalog, no object and no file", async () => {
    const places: Record<string, string> = {};
    const tables = await scenario.query(
      "SELECT relname AS name FROM pg_class WHERE relnamespace = 'firnline'::regnamespace AND relkind = 'r'",
    );
    expect(tables.length).toBeGreaterThan(10);
    for (const { name } of tables) {
      const rows = await scenario.query(`SELECT t::text AS row FROM firnline.${name} t`);
      places[`firnline.${name}`] = rows.map(({ row }) => row).join("\n");
    }
    expect(Object.values(places).filter((text) => text !== "").length).toBeGreaterThan(5);
    const sessions = await runAlone(scenario.url, "SELECT a::text AS row FROM pg_stat_activity a");
    places["pg_stat_activity"] = sessions.rows.map(({ row }) => String(row)).join("\n");
    for (const name of await scenario.answers()) {
      places[name] = await readFile(join(scenario.folder, name), "latin1");
    }
    expect((await readdir(scenario.folder)).length).toBeGreaterThan(2);

    const client = clientOf(server);
    try {
      const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: bucket }));
      expect(Versions.length).toBeGreaterThan(8);
      for (const { Key, VersionId } of Versions) {
        const one = { Bucket: bucket, Key: Key as string, VersionId: VersionId as string };
        const { $metadata: _, ...head } = await client.send(new HeadObjectCommand(one));
        const { TagSet } = await client.send(new GetObjectTaggingCommand(one));
        const body = await client.send(new GetObjectCommand(one)).then(
          async ({ Body }) => (await Body?.transformToString("latin1")) ?? "",
          () => "", // in a cold class
        );
        places[`${Key} ${VersionId}`] = `${JSON.stringify([head, TagSet])}${body}`;
      }
    } finally {
      client.destroy();
    }
    expectNoTrace(places);
  });
});

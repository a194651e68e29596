/** How errors are told: one line for people, one object for machines, one exit code; never a secret. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EXIT } from "../../src/cli/command.ts";
import { errorJson, errorsOf, errorText, errorTrace, exitCodeOf } from "../../src/cli/report.ts";
import { type ErrorCode, FirnlineError, FirnlineErrors } from "../../src/errors.ts";
import { databaseError } from "../../src/postgres/errors.ts";

const error = (
  code: ErrorCode,
  details: Partial<{ subject: string; problem: string; cause: unknown }> = {},
) => new FirnlineError({ code, subject: "public.audit", problem: "no key", hint: "Add one", ...details });

describe("an error for people", () => {
  it("has the form of the house", () => {
    expect(errorText(error("E_KEY"))).toBe("E_KEY public.audit: no key. Add one.");
  });

  it("names the pipeline where it could be another one", () => {
    const about = { pipeline: "billing", isOneOfMany: true };
    expect(errorText(error("E_KEY"), about)).toBe("E_KEY public.audit (pipeline billing): no key. Add one.");
    expect(errorText(error("E_LOCKED", { subject: "pipeline billing" }), about)).toBe(
      "E_LOCKED pipeline billing: no key. Add one.",
    );
    expect(errorText(error("E_KEY"), { ...about, isOneOfMany: false })).toBe(errorText(error("E_KEY")));
  });

  it("is one line that does not steer the terminal, whatever is in it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const line = errorText(error("E_INPUT", { subject: text, problem: text }));
        expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        expect(JSON.parse(errorJson(error("E_INPUT", { subject: text })))).toHaveProperty("error.code");
      }),
    );
  });
});

describe("secrets", () => {
  const URL_WITH_PASSWORD = "postgres://amara:c4n/ary@db.example:5432/audit".replace("/ary", "@ary");

  it("passwords of URLs are masked in every form, to the last @", () => {
    const leaking = error("E_DATABASE", {
      problem: `it said ${URL_WITH_PASSWORD}`,
      cause: new Error(URL_WITH_PASSWORD),
    });
    for (const told of [errorText(leaking), errorJson(leaking), errorTrace(leaking)]) {
      expect(told).toContain("postgres://amara:***@db.example:5432/audit");
      expect(told).not.toContain("c4n");
    }
  });

  it("the hint that shows how a URL is written stays readable", () => {
    const problem = "write postgres://user:password@host:5432/database";
    expect(errorText(error("E_INPUT", { problem }))).toContain(problem);
  });

  it("a trace shows the stacks of an error and its causes, and no other property of theirs", () => {
    const cause = Object.assign(new Error("inner"), { input: "c4nary", client: { password: "c4nary" } });
    const trace = errorTrace(error("E_DATABASE", { cause: new AggregateError([cause], "middle") }));
    expect(trace).toMatch(/FirnlineError: E_DATABASE[^]*caused by AggregateError: middle[^]*Error: inner/);
    expect(trace).not.toContain("c4nary");
  });

  it("an error that is its own cause ends", () => {
    const circular: { cause?: unknown } & Error = new Error("round");
    circular.cause = circular;
    expect(errorTrace(circular)).toContain("round");
  });
});

describe("several errors", () => {
  it("are told one by one; a foreign one is a fault of ours", () => {
    const all = errorsOf(
      new AggregateError([new FirnlineErrors([error("E_KEY"), error("E_TYPE")]), new Error("x. ")]),
    );
    expect(all.map(({ message }) => message)).toEqual([
      "E_KEY public.audit: no key. Add one.",
      "E_TYPE public.audit: no key. Add one.",
      "E_INTERNAL firnline: x. Run it again with --debug and report what it prints.",
    ]);
    expect(errorsOf("thrown text").map(({ problem }) => problem)).toEqual(["thrown text"]);
  });

  it.each([
    [["E_INPUT"], EXIT.usage],
    [["E_INPUT", "E_POLICY"], EXIT.failed],
    [["E_POLICY", "E_KEY", "E_VISIBILITY"], EXIT.refused],
    [["E_KEY", "E_DATABASE"], EXIT.failed],
    [["E_LOCKED"], EXIT.locked],
    [["E_DATABASE", "E_INTERRUPTED"], EXIT.interrupted],
    [["E_INTERNAL"], EXIT.failed],
    [["E_OWNER"], EXIT.failed],
  ] as const)("%j end with %i", (codes, exit) => {
    expect(exitCodeOf(codes.map((code) => error(code)))).toBe(exit);
  });
});

describe("what Postgres and its driver throw", () => {
  it.each([
    // PostgreSQL 18, 15, and where a value is assembled in memory.
    [
      "54000",
      "string buffer exceeds maximum allowed length (1073741823 bytes)",
      "Cannot enlarge string buffer containing 600000053 bytes by 600000000 more bytes.",
    ],
    [
      "54000",
      "out of memory",
      "Cannot enlarge string buffer containing 600000053 bytes by 600000000 more bytes.",
    ],
    ["XX000", "invalid memory alloc request size 1200000072", undefined],
  ])("a row over 1 GB is a type that cannot be moved (%s %s)", (code, message, detail) => {
    const thrown = databaseError(Object.assign(new Error(message), { code, detail }), "export");
    expect(thrown).toMatchObject({ code: "E_TYPE", retryable: false });
    expect(thrown.message).toMatch(/A row is larger than the 1 GB that Postgres can send at once; .+\.$/);
    const other = databaseError(
      Object.assign(new Error("target lists can have at most 1664 entries"), { code: "54011" }),
      "x",
    );
    expect(other.code).toBe("E_DATABASE");
  });

  it("a host with several addresses says why each failed", () => {
    const refused = (address: string): Error => new Error(`connect ECONNREFUSED ${address}:5432`);
    const both = Object.assign(new AggregateError([refused("::1"), refused("127.0.0.1")]), {
      code: "ECONNREFUSED",
    });
    expect(databaseError(both, "connect").problem).toBe(
      "connect: ECONNREFUSED ::1:5432, ECONNREFUSED 127.0.0.1:5432",
    );
    expect(databaseError(both, "connect").retryable).toBe(true);
  });
});

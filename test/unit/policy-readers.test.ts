/** Single texts of the policy file: what is read, and that editors (the JSON Schema's patterns) agree. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatKeep, readKeep, readKeepOrForever } from "../../src/policy/duration.ts";
import { nearest } from "../../src/policy/findings.ts";
import type { Note } from "../../src/policy/note.ts";
import { NOTES } from "../../src/policy/notes.ts";
import { readArchiveUrl, readEndpoint } from "../../src/policy/readers/archive-url.ts";
import { formatBytes, readBytes } from "../../src/policy/readers/bytes.ts";
import { readColumn, readTable, readVariableName, readZone } from "../../src/policy/readers/identifier.ts";
import { matchesAll, readPredicate } from "../../src/policy/readers/predicate.ts";
import { shown, type Reading } from "../../src/policy/readers/reading.ts";

const valueOf = <T>(reading: Reading<T>): T => {
  if (!reading.ok) throw new Error(reading.problem);
  return reading.value;
};

describe("a keep", () => {
  it("is written back as it was read", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 36_500 }), (days) => {
        expect(valueOf(readKeep(formatKeep(days)))).toBe(days);
        expect(valueOf(readKeepOrForever(formatKeep(days)))).toBe(days);
      }),
    );
    expect(valueOf(readKeepOrForever(formatKeep(null)))).toBeNull();
  });

  it("is days and nothing else", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[ 0-9+.-]{0,4}[a-zA-Z]{0,2}$/)), (text) => {
        expect(readKeep(text).ok).toBe(/^[1-9]\d{0,4}d$/.test(text) && Number.parseInt(text, 10) <= 36_500);
      }),
    );
  });
});

describe("a size", () => {
  it("is written back in its shortest exact form", () => {
    expect([0n, 1000n, 1024n, 131_072n, 1n << 20n, 5n << 30n].map(formatBytes)).toEqual([
      "0B",
      "1000B",
      "1KiB",
      "128KiB",
      "1MiB",
      "5GiB",
    ]);
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 5n << 30n }), (bytes) => {
        expect(valueOf(readBytes(formatBytes(bytes)))).toBe(bytes);
      }),
    );
  });
});

describe("a table", () => {
  it.each([
    ["public.audit_logs", "public", "audit_logs"],
    ["s$1._t", "s$1", "_t"],
    ['"We""ird"."Table"', 'We"ird', "Table"],
    ['app."a.b"', "app", "a.b"],
    ['"a""; drop table x; --".t', 'a"; drop table x; --', "t"],
    ['"Prüfung"."日誌"', "Prüfung", "日誌"],
  ])("%s is read", (text, schema, name) => {
    expect(valueOf(readTable(text))).toEqual({ schema, name });
  });

  it("is any pair of names once they are quoted", () => {
    const name = fc.string({ minLength: 1, maxLength: 15 }).filter((each) => !each.includes("\0"));
    const quote = (each: string) => `"${each.replaceAll('"', '""')}"`;
    fc.assert(
      fc.property(name, name, (schema, table) => {
        expect(valueOf(readTable(`${quote(schema)}.${quote(table)}`))).toEqual({ schema, name: table });
        expect(valueOf(readColumn(quote(table)))).toBe(table);
      }),
    );
  });

  it.each([
    "",
    ".",
    "a.",
    ".a",
    "a..b",
    "a.b.c",
    'a."',
    'a.""',
    'a."b"c',
    'a."b"."c"',
    "a. b",
    "a b.c",
    "1a.b",
    "ä.b",
  ])("%j is refused", (text) => expect(readTable(text).ok).toBe(false));
});

describe("the name of an environment variable", () => {
  it.each(["DATABASE_URL", "A", "DB_2"])("%s is read", (text) =>
    expect(valueOf(readVariableName(text))).toBe(text),
  );

  it("is all that is read, and what else stands there is not repeated", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 6 }), (text) => {
        const reading = readVariableName(text);
        expect(reading.ok).toBe(/^[A-Z][A-Z0-9_]*$/.test(text));
        if (!reading.ok) expect(reading.problem).not.toContain(text);
      }),
    );
  });
});

describe("a zone", () => {
  it.each(["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])("%s is read", (text) =>
    expect(valueOf(readZone(text))).toBe(text),
  );
  it.each(["+02:00", "-05", "GMT+2:00", "Europe", "Mars/Olympus", "../etc/passwd", ""])(
    "%j is refused",
    (text) => expect(readZone(text).ok).toBe(false),
  );
});

describe("an archive", () => {
  it.each([
    ["s3://acme-audit", "s3://acme-audit"],
    ["s3://acme-audit/", "s3://acme-audit"],
    ["s3://acme.audit.eu/a/b=1/c/", "s3://acme.audit.eu/a/b=1/c"],
    ["file:///var/lib/firnline", "file:///var/lib/firnline"],
    ["file:///Users/Ada Lovelace/firn/", "file:///Users/Ada Lovelace/firn"],
  ])("%s is read as %s", (text, url) => expect(valueOf(readArchiveUrl(text))).toBe(url));

  it.each([
    "s3:/acme-audit/x",
    "S3://acme-audit/x",
    "s3://ab/x",
    "s3://192.168.0.1/x",
    "s3://a..b/x",
    "s3://acme-audit/x?versionId=1",
    "s3://acme-audit/x#y",
    "s3://acme-audit/./x",
    "s3://acme-audit/x y",
    "s3://acme-audit/x\0",
    "file://localhost/x",
    "file:///",
    "file:///a/../b",
    "file:///a\nb",
    "/var/lib/firnline",
    "C:\\firnline",
  ])("%j is refused", (text) => expect(readArchiveUrl(text).ok).toBe(false));

  it("on another store has an endpoint without path", () => {
    expect(valueOf(readEndpoint("http://localhost:9000/"))).toBe("http://localhost:9000");
    expect(valueOf(readEndpoint("https://S3.Example.com:443"))).toBe("https://s3.example.com");
  });

  it.each([
    "http://169.254.169.254",
    "http://2852039166",
    "http://0251.0376.0251.0376",
    "http://[::ffff:169.254.169.254]",
    "http://[fe80::1]",
    "http://[fd00:ec2::254]",
    "ftp://store",
    "https://user@store",
  ])("never has the endpoint %s", (text) => expect(readEndpoint(text).ok).toBe(false));
});

describe("a predicate", () => {
  it.each([
    "action = 'access_denied'",
    "details->>'kind' in ('a', 'b') and not (x or y)",
    "message like '%;%' or message = '--' or message = '(' or message = '/*'",
    '"odd ; ) name" = 1',
    "message = 'it''s'",
    String.raw`message = E'it\'s ) ;'`,
    "message = E'a'\n '\\' ) ;'",
    String.raw`message ~ '^\d+\)$'`,
    "message = $q$ ) ; ' $q$",
    "message = $$ -- $$",
    "a$b$c = 1",
    "tags @> array['x'] and arr[1:2] = '{}'",
    "x - -1 > 0",
  ])("%s is closed", (text) => expect(valueOf(readPredicate(text))).toBe(text));

  it.each([
    "a) or (b",
    "(a",
    "a]",
    "a = 'x",
    String.raw`a = E'x\'`,
    String.raw`a = E'x''y\'`,
    "a = E'x'\n 'y\\'",
    "a = 'x''",
    'a = "x',
    "a = $q$ x $Q$",
    "a; b",
    "a -- b",
    "a /* b",
    "a = 1 /* b */",
    "(a]",
    "a\0",
    "",
    " \n ",
  ])("%j is refused", (text) => expect(readPredicate(text).ok).toBe(false));

  it("that is read leaves every bracket outside of quotes in pairs", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ab()[\] ='.]{1,30}$/), (text) => {
        if (!readPredicate(text).ok) return;
        let bare = text.replaceAll(/'(?:[^']|'')*'/g, "");
        expect(bare).not.toContain("'");
        for (let before = ""; before !== bare;) {
          before = bare;
          bare = bare.replaceAll(/\([^()[\]]*\)|\[[^()[\]]*\]/g, "");
        }
        expect(bare).not.toMatch(/[()[\]]/);
      }),
    );
  });

  it("may visibly match everything", () => {
    expect(["true", " TRUE ", "((true))"].every(matchesAll)).toBe(true);
    expect(["truth", "not true", "a = true"].some(matchesAll)).toBe(false);
  });
});

describe("a misspelt key", () => {
  const KEYS = ["keep", "storageClass", "objectBytesMin", "hot", "warm", "cold"];
  it.each([
    ["storage_class", "storageClass"],
    ["StorageClass", "storageClass"],
    ["kepe", "keep"],
    ["objectByteMin", "objectBytesMin"],
    ["worm", "warm"],
    ["vault", null],
    ["schedule", null],
    ["", null],
  ])("%s suggests %s", (key, expected) => expect(nearest(key, KEYS)).toBe(expected));
});

describe("a text in a message", () => {
  it("is quoted, clipped and cannot move the cursor", () => {
    expect(shown('a"b\n\u001b[2J\u202e')).toBe(String.raw`"a\"b\n\u001b[2J?"`);
    expect(shown("ab ".repeat(100)).length).toBeLessThan(70);
  });

  it.each([
    "postgres://u:p@h/d",
    "AKIAIOSFODNN7EXAMPLE",
    "host=h password=x",
    "-----BEGIN KEY",
    "x".repeat(40),
  ])("is withheld when it may be a secret: %s", (text) => expect(shown(text)).not.toContain(text));
});

describe("the note of a field", () => {
  it.each(Object.entries(NOTES) as [string, Note][])(
    "%s: its examples match its pattern, and no text ends twice",
    (_path, note) => {
      for (const example of note.examples ?? []) {
        if (note.pattern !== undefined) expect(example).toMatch(new RegExp(note.pattern));
      }
      expect(note.hint).not.toMatch(/[.?]$/);
      expect(note.description).toMatch(/\.$|'\.$/);
    },
  );
});

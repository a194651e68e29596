/**
 * `schemas/FORMAT.md` is the permanent specification. Here it is held to its word: each hex string in it is computed
 * again from the document itself, the fields by a real Postgres, and its lists are those of the code.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import pg from "pg";
import { to as copyTo } from "pg-copy-streams";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeColumn } from "../support/decode-values.ts";
import { encodeColumn } from "../support/encode-values.ts";
import { type Column, VALUE_KINDS, type ValueKind } from "../../src/rows/column.ts";
import { toHex } from "../../src/rows/hex.ts";
import { canonicalJson, type Json } from "../../src/segment/canonical-json.ts";
import type { NewSha256 } from "../../src/segment/digest.ts";
import { decodeEntry, GENESIS, journalEntrySchema, journalEventSchema } from "../../src/segment/journal.ts";
import { decodeManifest, type Manifest, manifestSchema } from "../../src/segment/manifest.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

const document = readFileSync(new URL("../../schemas/FORMAT.md", import.meta.url), "utf8");

const sha256 = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
};
const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");
const newHash: NewSha256 = () => createHash("sha256");

/** The fenced block with this info string. */
function block(info: string): string {
  const found = document.split(`\n\`\`\`${info}\n`)[1]?.split("\n```")[0];
  if (found === undefined) throw new Error(`FORMAT.md has no block \`\`\`${info}`);
  return found;
}

/** The text between a heading and the next one of the same or a higher level. */
function section(heading: string): string {
  const level = heading.split(" ")[0]?.length ?? 0;
  const rest = document.split(`\n${heading}`)[1] ?? "";
  return rest.split(new RegExp(`\n#{1,${level}} `))[0] as string;
}

/** The cells of all table rows of `text`; heads and rules of the tables are left out. */
function tableRows(text: string): string[][] {
  const lines = text.split("\n");
  return lines
    .filter((line, at) => line.startsWith("| ") && !(lines[at + 1] ?? "").startsWith("|---"))
    .map((line) => line.slice(2, -2).split(" | "));
}

/** What stands in backticks. */
const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string);

describe("FORMAT.md", () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    database = await createDatabase();
    client = new pg.Client(database.url);
    client.on("error", () => {}); // a lost connection also rejects the query
    await client.connect();
    await client.query("SET TimeZone = 'UTC'");
  });

  afterAll(async () => {
    await client?.end();
    await database?.[Symbol.asyncDispose]();
  });

  /** The field of an SQL expression as COPY sends it, its length included. */
  async function fieldOf(sql: string): Promise<Uint8Array> {
    const stream = client.query(copyTo(`COPY (SELECT ${sql}) TO STDOUT (FORMAT binary)`));
    const all: Buffer = Buffer.concat(await stream.toArray());
    return all.subarray(21, -2); // 19 bytes of header, the count of fields; the end marker
  }

  describe("every kind, byte by byte", () => {
    const vectors = tableRows(section("### Every kind")).map(([kind, sql, physical, field]) => ({
      column: columnOf(kind as string),
      sql: quoted(sql as string)[0] as string,
      physical: quoted(physical as string)[0] as string,
      isException: (physical as string).endsWith(", exception"),
      field: hex(quoted(field as string)[0] ?? ""),
    }));

    it("leaves out none", () => {
      expect(new Set(vectors.map(({ column }) => column.kind))).toEqual(new Set(VALUE_KINDS));
      const described = tableRows(section("## 7.")).map(([kind]) => quoted(kind as string)[0]);
      expect(described.sort()).toEqual([...VALUE_KINDS].sort());
      const fields = tableRows(section("## 8.").split("### Exceptions")[0] as string);
      expect(fields.flatMap(([kind]) => quoted(kind as string)[0]?.split(" ")).sort()).toEqual(
        [...VALUE_KINDS].sort(),
      );
    });

    it.each(vectors)("$column.kind $sql", async ({ column, sql, physical, isException, field }) => {
      const raw = await fieldOf(sql);
      expect(toHex(raw.subarray(4))).toBe(toHex(field));
      const { values, exceptions } = encodeColumn(column, 0, raw, 1);
      expect(showPhysical(column, values[0])).toBe(physical);
      expect(exceptions).toEqual(isException ? [{ column: 0, row: 0, rows: 1, field: toHex(field) }] : []);
      expect(toHex(decodeColumn(column, values, 0, 1, exceptions))).toBe(toHex(raw));
    });
  });

  describe("the worked example", () => {
    const manifest = JSON.parse(block("json manifest")) as Manifest;
    const manifestText = canonicalJson(manifest as unknown as Json);
    const lines = block("text fields")
      .split("\n")
      .map((line) => /^chunk (\d) (\w+) +(.*)$/.exec(line)?.slice(1) as [string, string, string]);

    it("is a manifest that Firnline reads", () => {
      expect(decodeManifest(newHash, Buffer.from(manifestText), "FORMAT.md")).toEqual(manifest);
    });

    it("has the fields that Postgres sends for its rows", async () => {
      const rows = tableRows(section("### Worked example"));
      const types = manifest.columns.map(({ type }) => type);
      let row = 0;
      for (const [index, chunk] of manifest.chunks.entries()) {
        const mine = rows.slice(row, row + chunk.rows);
        for (const [at, { name }] of manifest.columns.entries()) {
          const fields = mine.map((cells) => fieldOf(`${literalOf(cells[at] as string)}::${types[at]}`));
          const expected = lines.find(([number, column]) => number === String(index) && column === name)?.[2];
          expect([index, name, toHex(Buffer.concat(await Promise.all(fields)))]).toEqual([
            index,
            name,
            toHex(hex(expected as string)),
          ]);
        }
        row += chunk.rows;
      }
      expect(row).toBe(rows.length);
    });

    it("hashes to its digests, leaves and root by nothing but SHA-256", () => {
      const leaves = manifest.chunks.map((chunk, index) => {
        const mine = lines.filter(([number]) => number === String(index));
        expect(mine.map(([, , text], at) => sha256(hex(chunk.salts[at] as string), hex(text)))).toEqual(
          chunk.digests,
        );
        const { archiveId, pipeline, rule, table, columns } = manifest;
        const { segment, day, from, to, rows } = chunk;
        const types = columns.map(({ name, type, kind, select }) => ({ name, type, kind, select }));
        const source = { schema: table.schema, name: table.name };
        const header = {
          archiveId,
          pipeline,
          segment,
          rule,
          day,
          table: source,
          from,
          to,
          rows,
          columns: types,
        };
        const text = canonicalJson(header as unknown as Json);
        if (index === 0) expect(text).toBe(block("json header"));
        const length = Buffer.alloc(4);
        length.writeUInt32BE(Buffer.byteLength(text));
        if (index === 0) expect(section("### Worked example")).toContain(`(\`${length.toString("hex")}\`)`);
        return sha256(hex("00"), length, text, hex(chunk.digests.join("")));
      });
      const node = sha256(hex("01"), hex(leaves[0] as string), hex(leaves[1] as string));
      const root = sha256(hex("01"), hex(node), hex(leaves[2] as string));
      const shown = [...block("text tree").matchAll(/ ([0-9a-f]{64})/g)].map(([, digest]) => digest);
      expect(shown).toEqual([...leaves, node, root]);
      expect(root).toBe(manifest.root);
      const { salts, digests } = manifest.chunks[0] as Manifest["chunks"][number];
      expect(block("text digest").split(/\s+/)).toEqual(["salt", salts[2], "digest", digests[2]]);
    });

    it("has a journal that holds together", () => {
      const texts = block("json journal").split("\n");
      const entries = texts.map((text) => decodeEntry(Buffer.from(text), "FORMAT.md"));
      expect(entries.map((entry) => canonicalJson(entry as unknown as Json))).toEqual(texts);
      expect(entries.map(({ n, prev }) => [n, prev])).toEqual([
        ["1", GENESIS],
        ["2", sha256(texts[0] as string)],
      ]);
      expect(block("text head")).toBe(`2 ${sha256(texts[1] as string)}`);
      expect(entries[1]?.event).toMatchObject({
        root: manifest.root,
        object: manifest.object,
        manifest: { sha256: sha256(manifestText), bytes: String(Buffer.byteLength(manifestText)) },
      });
    });
  });

  describe("its lists", () => {
    const members = (text: string): string[] => tableRows(text).flatMap(([names]) => quoted(names as string));

    it("has the members of an entry and of a manifest", () => {
      expect(members(section("## 4.")).sort()).toEqual(Object.keys(journalEntrySchema.shape).sort());
      const [head, column, chunk, range] = section("## 6.").split(/\n(?:A \*\*|\*\*Ranges)/);
      expect(members(head as string).sort()).toEqual(Object.keys(manifestSchema.shape).sort());
      expect(members(column as string).sort()).toEqual(
        Object.keys(manifestSchema.shape.columns.element.shape).sort(),
      );
      expect(members(chunk as string).sort()).toEqual(
        Object.keys(manifestSchema.shape.chunks.element.shape).sort(),
      );
      expect(range).toContain("half-open");
    });

    it("has the events with their members, and reserves names that are not in use", () => {
      const described = tableRows(section("## 5.")).map(([type, names]) => [
        ...quoted(type as string),
        ...quoted((names as string).replaceAll(/\([^)]*\)/g, "")),
      ]);
      const known = journalEventSchema.options.map(({ shape: { type, ...rest } }) => [
        type.value,
        ...Object.keys(rest),
      ]);
      expect(described).toEqual(expect.arrayContaining(known));
      expect(described).toHaveLength(known.length);
      const reserved = quoted(section("## 12.").split("This name is reserved")[1]?.split(".\n")[0] as string);
      expect(reserved).toHaveLength(1);
      expect(reserved.filter((name) => known.some(([type]) => type === name))).toEqual([]);
    });

    it("links to headings that are there", () => {
      const anchors = [...document.matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
        (text as string)
          .toLowerCase()
          .replaceAll(/[^\w\- ]/g, "")
          .replaceAll(" ", "-"),
      );
      const links = [...document.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor]) => anchor as string);
      expect(links.filter((anchor) => !anchors.includes(anchor))).toEqual([]);
      expect(links.length).toBeGreaterThan(12);
    });
  });
});

/** `decimal` (6,2) -> a column of that kind. */
function columnOf(cell: string): Column {
  const [, precision, scale] = /\((\d+),(\d+)\)/.exec(cell) ?? [];
  return {
    name: "value",
    attribute: "value",
    attnum: 1,
    type: "any",
    select: "value",
    kind: quoted(cell)[0] as ValueKind,
    precision: precision === undefined ? null : Number(precision),
    scale: scale === undefined ? null : Number(scale),
  };
}

/** As the table writes physical values. */
function showPhysical({ kind, precision }: Column, value: unknown): string {
  if (value instanceof Uint8Array) {
    const isString = ["numeric", "text", "json", "jsonb"].includes(kind);
    return isString ? JSON.stringify(Buffer.from(value).toString()) : `x'${toHex(value)}'`;
  }
  if (typeof value === "bigint" && precision !== null && precision > 18) {
    return `x'${BigInt.asUintN(128, value).toString(16).padStart(32, "0")}'`;
  }
  return Object.is(value, -0) ? "-0" : String(value);
}

const literalOf = (cell: string): string =>
  cell === "NULL" ? "NULL" : `'${cell === "(empty)" ? "" : cell}'`;

/** The columns of an answer over several definitions of the table, and the refusals; their texts are a golden file. */
import { describe, expect, it } from "vitest";

import type { FirnlineError, FirnlineErrors } from "../../../src/errors.ts";
import {
  type ArchivedColumns,
  intoUnited,
  type UnitedColumns,
  uniteColumns,
} from "../../../src/retrieve/united-columns.ts";
import type { Column } from "../../../src/rows/column.ts";
import { bytesOf, fieldsOf, int32, int64, rawRows } from "../../support/copy-stream.ts";
import { BINARY, columnType, SAMPLES, TEXT_FORMS } from "../rows/column-types.ts";

let attnum = 0;

/** A column of one of the sample types, or of `type` itself. */
function column(name: string, type: string | Partial<Column>): Column {
  attnum += 1;
  const own = typeof type === "string" ? (SAMPLES[type] ?? columnType("text", type)) : type;
  return { name, attribute: name, attnum, ...columnType("text", "text"), ...own };
}

const ID = column("id", "bigint");
const TS = column("ts", "timestamp with time zone");

const archived = (columns: readonly Column[], changes: Partial<ArchivedColumns> = {}): ArchivedColumns => ({
  columns,
  time: "ts",
  key: ["id"],
  examples: [{ segment: "000000000001-aa", day: "2024-01-03" }],
  segments: 1,
  isCurrent: false,
  ...changes,
});

const table = (
  columns: readonly Column[],
  keyColumns: readonly number[] = [0],
  timeColumn = 1,
): Parameters<typeof uniteColumns>[0] => ({
  table: { schema: "public", name: "audit_logs", oid: "1" },
  columns,
  timeColumn,
  keyColumns,
});

const described = ({ columns }: UnitedColumns): string[] =>
  columns.map(({ name, type, kind }) => `${name} ${type} (${kind})`);

describe("the columns of an answer", () => {
  it("are the table's in its order, then those of older segments in the order of their days", () => {
    const united = uniteColumns(table([ID, TS, column("now", "text")]), true, [
      archived([column("first", "date"), TS, ID, column("z", "uuid")]),
      archived([ID, column("second", "date"), TS, column("first", "date"), column("now", "text")]),
    ]);
    expect(described(united)).toEqual([
      "id bigint (int8)",
      "ts timestamp with time zone (timestamptz)",
      "now text (text)",
      "first date (date)",
      "z uuid (uuid)",
      "second date (date)",
    ]);
    expect(united).toMatchObject({ timeColumn: 1, keyColumns: [0] });
  });

  it("have the wider type, whichever side has it", () => {
    const narrow = [
      column("id", "integer"),
      TS,
      column("n", "integer"),
      column("v", "character varying(20)"),
    ];
    const wide = [ID, TS, column("n", "numeric(12,2)"), column("v", "character varying(10)")];
    const expected = [
      "id bigint (int8)",
      "ts timestamp with time zone (timestamptz)",
      "n numeric(12,2) (decimal)",
      "v character varying(20) (text)",
    ];
    for (const hasHotRows of [true, false]) {
      expect(described(uniteColumns(table(wide), hasHotRows, [archived(narrow)]))).toEqual(expected);
      expect(described(uniteColumns(table(narrow), hasHotRows, [archived(wide)]))).toEqual(expected);
    }
  });

  it("say which declared types each had, without repetition, and whether all rows are of today's", () => {
    const today = table([ID, TS, column("mood", "public.mood")]);
    const older = archived([ID, TS, column("mood", "text")]);
    const same = archived([ID, TS, column("mood", "public.mood")], { isCurrent: true });
    expect(uniteColumns(today, true, [older, older, same])).toMatchObject({
      declared: [["bigint"], ["timestamp with time zone"], ["public.mood", "text"]],
      isCurrent: false,
    });
    expect(uniteColumns(today, true, [same]).isCurrent).toBe(true);
    expect(uniteColumns(today, true, []).isCurrent).toBe(true);
  });

  it("take no type of the table that cannot be united, where no row comes from the table", () => {
    const today = table([ID, TS, column("n", "text")]);
    const older = [archived([ID, TS, column("n", "integer")]), archived([ID, TS, column("n", "bigint")])];
    expect(described(uniteColumns(today, false, older))[2]).toBe("n bigint (int8)");
    expect(uniteColumns(today, false, older).declared[2]).toEqual(["integer", "bigint"]);
    expect(() => uniteColumns(today, true, older)).toThrow(/^E_SCHEMA public\.audit_logs\.n: /);
  });

  it("keep an interval and the text beside it together", () => {
    const span = [
      column("span", BINARY("interval")),
      { ...column("span__text", TEXT_FORMS("interval")), attribute: "span" },
    ];
    const united = uniteColumns(table([ID, TS]), true, [archived([ID, TS, ...span])]);
    expect(united.columns.slice(2).map(({ name, attribute }) => [name, attribute])).toEqual([
      ["span", "span"],
      ["span__text", "span"],
    ]);
  });
});

describe("the key", () => {
  const older = (key: readonly string[]): ArchivedColumns => archived([ID, TS], { key });

  it("may be of a wider type", () => {
    const narrow = archived([column("id", "integer"), TS]);
    expect(uniteColumns(table([ID, TS]), true, [narrow]).keyColumns).toEqual([0]);
  });

  it("is that of the segments where no row comes from the table", () => {
    const today = table([ID, TS, column("event", "uuid")], [2]);
    expect(uniteColumns(today, false, [older(["id"])]).keyColumns).toEqual([0]);
    expect(uniteColumns(today, false, []).keyColumns).toEqual([2]);
    expect(() => uniteColumns(today, true, [older(["id"])])).toThrow(/^E_SCHEMA key of public\.audit_logs: /);
  });

  it("has an order in the united type, or there is no answer", () => {
    const today = table([column("id", "numeric"), TS, column("event", "uuid")], [2]);
    expect(() => uniteColumns(today, false, [older(["id"])])).toThrow(
      "E_SCHEMA public.audit_logs.id: the key's types have no common order",
    );
  });

  it("is none as soon as one source has none: no two rows are taken for one then", () => {
    expect(uniteColumns(table([ID, TS], []), true, [older(["id"])]).keyColumns).toEqual([]);
    expect(uniteColumns(table([ID, TS]), true, [older(["id"]), older([])]).keyColumns).toEqual([]);
    expect(uniteColumns(table([ID, TS], []), true, []).keyColumns).toEqual([]);
  });
});

describe("rows of one source", () => {
  const united = uniteColumns(table([ID, TS, column("n", "bigint")]), true, [
    archived([ID, TS, column("n", "integer"), column("old", "text")]),
  ]);

  it("get the answer's columns: in their order, widened, and NULL where they have none", () => {
    const from = [column("n", "integer"), column("old", "text"), TS, ID];
    const rows = rawRows(4, [
      [int32(-7), bytesOf(0x61), int64(5n), int64(1n)],
      [null, null, int64(6n), int64(2n)],
    ]);
    const found = intoUnited(from, united)(rows);
    expect(found.columns.map((one) => fieldsOf(one, found.rows))).toEqual([
      [int64(1n), int64(2n)],
      [int64(5n), int64(6n)],
      [int64(-7n), null],
      [bytesOf(0x61), null],
    ]);
    // Fewer rows than before, and more: the missing column has as many NULLs as there are rows.
    const lacking = intoUnited([ID, TS], united);
    for (const count of [3, 1, 5, 0]) {
      const some = lacking(
        rawRows(
          2,
          Array.from({ length: count }, () => [int64(1n), int64(2n)]),
        ),
      );
      expect(fieldsOf(some.columns[3] as Uint8Array, count)).toEqual(Array(count).fill(null));
    }
  });

  it("are handed on as they are if they have these columns already", () => {
    const rows = rawRows(4, [[int64(1n), int64(2n), int64(3n), null]]);
    expect(intoUnited(united.columns, united)(rows)).toBe(rows);
  });

  it("with a column that the answer lacks are a bug, not an answer", () => {
    expect(() => intoUnited([ID, TS, column("lost", "text")], united)).toThrow(/^E_INTERNAL columns: /);
  });
});

describe("columns that cannot be united", () => {
  const many = (type: string, from: number, count: number): ArchivedColumns =>
    archived([ID, TS, column("amount", type)], {
      examples: Array.from({ length: Math.min(3, count) }, (_, at) => ({
        segment: `00000000000${from + at}-aa`,
        day: `2024-01-0${from + at}`,
      })),
      segments: count,
    });
  const cases: readonly (readonly [
    what: string,
    source: Parameters<typeof uniteColumns>[0],
    ArchivedColumns[],
  ])[] = [
    ["a number that became a text", table([ID, TS, column("amount", "text")]), [many("integer", 1, 1)]],
    [
      "a number that became a text twenty segments ago",
      table([ID, TS, column("amount", "text")]),
      [many("integer", 1, 20)],
    ],
    [
      "three types over the years",
      table([ID, TS, column("amount", "numeric(12,2)")]),
      [many("integer", 1, 2), many("double precision", 3, 40), many("text", 6, 1)],
    ],
    ["segments that differ among themselves", table([ID, TS]), [many("uuid", 1, 2), many("bytea", 3, 1)]],
    [
      "more definitions than a message holds",
      table([ID, TS, column("amount", "text")]),
      ["integer", "boolean", "uuid", "bytea", "date", "real"].map((type, at) => many(type, at + 1, 1)),
    ],
    [
      "two columns at once",
      table([ID, TS, column("amount", "text"), column("at", "timestamp with time zone")]),
      [archived([ID, TS, column("amount", "integer"), column("at", "timestamp without time zone")])],
    ],
    [
      "the text of an interval under the name of a column",
      table([ID, TS, column("span__text", "text")]),
      [
        archived([
          ID,
          TS,
          column("span", BINARY("interval")),
          { ...column("span__text", TEXT_FORMS("interval")), attribute: "span" },
        ]),
      ],
    ],
    [
      "such a text and a column of the very same type",
      table([ID, TS, column("span__text", TEXT_FORMS("public.span"))]),
      [archived([ID, TS, { ...column("span__text", TEXT_FORMS("public.span")), attribute: "span" }])],
    ],
    ["a key of another name", table([ID, TS, column("event", "uuid")], [2]), [archived([ID, TS])]],
    [
      "a key in another order",
      table([ID, TS, column("tenant", "integer")], [0, 2]),
      [archived([ID, TS, column("tenant", "integer")], { key: ["tenant", "id"] })],
    ],
    [
      "a time column of another type",
      table([ID, column("ts", "timestamp without time zone")]),
      [archived([ID, TS])],
    ],
    ["a time column of another name", table([ID, TS]), [archived([ID, TS], { time: "at" })]],
  ];

  it("are refused, each with its types and the segments that have them", async () => {
    const messages = cases.flatMap(([what, source, older]) => {
      let thrown: unknown;
      try {
        uniteColumns(source, true, older);
      } catch (error) {
        thrown = error;
      }
      const errors = (thrown as FirnlineErrors).errors ?? [thrown as FirnlineError];
      expect([what, ...errors.map(({ code }) => code)]).toEqual([what, ...errors.map(() => "E_SCHEMA")]);
      return [`## ${what}`, ...errors.map(({ message }) => message), ""];
    });
    await expect(messages.join("\n")).toMatchFileSnapshot("../../golden/schema-messages.txt");
  });
});

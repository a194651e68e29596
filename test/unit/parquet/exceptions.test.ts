/** I10: a column that is infinity all the way down must not make the manifest as large as the table. */
import { describe, expect, it } from "vitest";
import { decodeColumn } from "../../support/decode-values.ts";
import { encodeColumn } from "../../support/encode-values.ts";
import { type Column } from "../../../src/rows/column.ts";
import { RawColumnWriter } from "../../../src/rows/copy-binary.ts";
import { encodeSegment } from "../../support/segment-bytes.ts";

const INFINITY = Uint8Array.of(0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
const FINITE = new Uint8Array(8);

const column: Column = {
  name: "expires",
  attribute: "expires",
  attnum: 1,
  type: "timestamp with time zone",
  select: "value",
  kind: "timestamptz",
  precision: null,
  scale: null,
};

function fields(...runs: readonly (readonly [Uint8Array, number])[]): { raw: Uint8Array; rows: number } {
  const writer = new RawColumnWriter();
  let rows = 0;
  for (const [field, count] of runs) for (let at = 0; at < count; at += 1, rows += 1) writer.field(field);
  return { raw: writer.take(), rows };
}

describe("exceptions", () => {
  it("of rows in a row with the same field are one", async () => {
    const { raw, rows } = fields([INFINITY, 3_000], [FINITE, 2], [INFINITY, 1_998]);
    const { values, exceptions } = encodeColumn(column, 0, raw, rows);
    const field = "7fffffffffffffff";
    expect(exceptions).toEqual([
      { column: 0, row: 0, rows: 3_000, field },
      { column: 0, row: 3_002, rows: 1_998, field },
    ]);
    expect(decodeColumn(column, values, 0, rows, exceptions)).toEqual(raw);
    // The oracle above says it, the encoder does it; a run ends with its chunk and its column.
    const chunk = { rows, columns: [raw, raw] };
    const { manifest } = await encodeSegment([column, { ...column, name: "again" }], [[chunk, chunk]]);
    const both = [...exceptions, ...exceptions.map((one) => ({ ...one, column: 1 }))];
    expect(manifest.chunks.map((one) => one.exceptions)).toEqual([both, both]);
  });
});

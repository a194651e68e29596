/** The text of an inet, of its bytes; `test/postgres/inet-text.test.ts` holds it against Postgres. */
import { describe, expect, it } from "vitest";

import { INET_FIELD_BYTES_MAX, writeInetText } from "../../../src/rows/inet-text.ts";
import { bytesOf } from "../../support/copy-stream.ts";

function textOf(sent: Uint8Array): string {
  const out = new Uint8Array(INET_FIELD_BYTES_MAX).fill(0xff);
  const end = writeInetText(sent, 0, sent.length, out);
  expect(new DataView(out.buffer).getInt32(0)).toBe(end - 4);
  return Buffer.from(out.subarray(4, end)).toString("latin1");
}

const v4 = (bits: number, ...address: number[]): Uint8Array => bytesOf(2, bits, 0, 4, ...address);
const v6 = (bits: number, ...words: number[]): Uint8Array =>
  bytesOf(3, bits, 0, 16, ...words.flatMap((word) => [word >> 8, word & 0xff]));

describe("the text of an inet", () => {
  it.each([
    ["10.0.200.3", v4(32, 10, 0, 200, 3)],
    ["255.99.1.0/8", v4(8, 255, 99, 1, 0)],
    ["0.0.0.0/0", v4(0, 0, 0, 0, 0)],
    ["::", v6(128, 0, 0, 0, 0, 0, 0, 0, 0)],
    ["::1", v6(128, 0, 0, 0, 0, 0, 0, 0, 1)],
    ["::0.2.0.3", v6(128, 0, 0, 0, 0, 0, 0, 2, 3)],
    ["::ffff:10.1.2.3/100", v6(100, 0, 0, 0, 0, 0, 0xffff, 0x0a01, 0x0203)],
    ["fe80::1:0:0:1", v6(128, 0xfe80, 0, 0, 0, 1, 0, 0, 1)],
    ["1:0:2:0:3:0:4:0", v6(128, 1, 0, 2, 0, 3, 0, 4, 0)],
    ["abcd:ef:1:23::/64", v6(64, 0xabcd, 0xef, 1, 0x23, 0, 0, 0, 0)],
    [
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/127",
      v6(127, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff),
    ],
  ])("%s", (text, sent) => {
    expect(textOf(sent)).toBe(text);
  });

  it.each([
    ["nothing", bytesOf()],
    ["another family", bytesOf(4, 32, 0, 4, 1, 2, 3, 4)],
    ["a byte too few", bytesOf(2, 32, 0, 4, 1, 2, 3)],
    ["a byte too many", bytesOf(2, 32, 0, 4, 1, 2, 3, 4, 5)],
    ["a length of its own", bytesOf(2, 32, 0, 16, 1, 2, 3, 4)],
    ["a mask that is too long", v4(33, 1, 2, 3, 4)],
  ])("is not made of %s", (_, sent) => {
    expect(() => textOf(sent)).toThrow("E_DATABASE COPY stream: a field is no inet");
  });
});

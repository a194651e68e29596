/** The table of what S3 servers were seen to do. */
import { expect, test } from "vitest";
import { tableOf } from "./s3-table.ts";

test("nothing seen is no table", () => {
  expect(tableOf([])).toEqual([]);
});

test("a row a capability, a column a server, and a dash where nobody looked", () => {
  const seen = [
    { server: "moto", capability: "restores", seen: "at once" },
    { server: "ceph", capability: "Object Lock", seen: "yes" },
    { server: "ceph", capability: "Object Lock", seen: "yes" },
    { server: "ceph", capability: "restores", seen: "no (501)" },
  ];
  expect(tableOf(seen)).toEqual([
    "capability   ceph      moto",
    "restores     no (501)  at once",
    "Object Lock  yes       -",
  ]);
});

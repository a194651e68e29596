/** The files that take minutes come first, under the names that they have. */
import { glob } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { longFirst } from "./long-first.ts";

test("histories and buckets come before all others, which keep their order", async () => {
  const cwd = fileURLToPath(new URL("../..", import.meta.url));
  const others = ["/a/test/unit/b.test.ts", "/a/test/tidy.test.ts"];
  const long: string[] = [];
  for await (const name of glob("test/{model,conformance}/*.test.ts", { cwd })) {
    if (/histories|archive-s3/.test(name)) long.push(`/a/${name.replaceAll("\\", "/")}`);
  }
  expect(long).toHaveLength(5);
  const files = [...others, ...long].map((moduleId) => ({ moduleId }));
  expect(longFirst(files).map(({ moduleId }) => moduleId)).toEqual([...long, ...others]);
});

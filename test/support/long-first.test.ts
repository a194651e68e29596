/** The files that take long come first, under the names that they have. */
import { glob } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { longFirst } from "./long-first.ts";

test("histories, buckets, crashes and the demo come before all others, which keep their order", async () => {
  const cwd = fileURLToPath(new URL("../..", import.meta.url));
  const others = ["/a/test/unit/b.test.ts", "/a/test/tidy.test.ts"];
  const long: string[] = [];
  for await (const name of glob("test/{model,conformance,cli,s3,faults}/*.test.ts", { cwd })) {
    if (
      /histories|archive-s3|demo|s3.(?:transition|locks)|crash-(?:kill|error|part)|paused|connection/.test(
        name,
      )
    )
      long.push(`/a/${name.replaceAll("\\", "/")}`);
  }
  expect(long).toHaveLength(12);
  const files = [...others, ...long].map((moduleId) => ({ moduleId }));
  expect(longFirst(files).map(({ moduleId }) => moduleId)).toEqual([...long, ...others]);
});

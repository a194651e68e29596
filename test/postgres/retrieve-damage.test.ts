/** I8 over an archive that is damaged: a refusal with the reason, and nothing left behind. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isFirnlineError } from "../../src/errors.ts";
import { createBusyDays } from "../support/busy-days.ts";
import { DAMAGES, FLIPS, flipped, listArchive } from "../support/archive-damage.ts";
import type { Scenario } from "../support/scenario.ts";

describe("an archive that is damaged", () => {
  const damages = [
    ...Object.entries(DAMAGES).map(([what, damage]) => ({ what, damage })),
    ...FLIPS.map((place) => ({ what: `a bit flipped at ${place * 100}%`, damage: flipped(place) })),
  ];

  let scenario: Scenario;
  let sound: string;

  beforeAll(async () => {
    scenario = await createBusyDays();
    await scenario.run();
    sound = (await scenario.retrieve()).result.sha256;
    await rm((await scenario.retrieve()).out);
  });

  afterAll(async () => await scenario[Symbol.asyncDispose]());

  test.each([
    ...damages.map((one) => ({ ...one, tier: "warm", pattern: /dt=2026-01-10.*\.parquet$/ })),
    ...damages.slice(0, 6).map((one) => ({ ...one, tier: "cold", pattern: /dt=2025-12-29.*\.parquet$/ })),
    ...damages.map((one) => ({ ...one, tier: "manifest", pattern: /\/manifests\// })),
  ])("($tier, $what) gives no answer, or the right one", async ({ damage, pattern }) => {
    for (const name of await scenario.answers()) await rm(join(scenario.folder, name));
    const path = (await listArchive(scenario)).find((file) => pattern.test(file)) as string;
    const bytes = await readFile(path);
    await damage(path);
    try {
      const outcome = await scenario.retrieve().catch((error: unknown) => error);
      if (outcome instanceof Error) {
        expect(isFirnlineError(outcome), String(outcome)).toBe(true);
        expect((outcome as Error & { code: string }).code).toMatch(/^E_(?:VERIFY|FORMAT|ARCHIVE)$/);
        expect(await scenario.answers(), "nothing is left behind").toEqual([]);
      } else {
        // Bytes that nobody read: statistics in the footer, or what follows after the pinned length.
        expect(outcome).toMatchObject({ result: { sha256: sound, rows: 500n } });
      }
    } finally {
      await rm(path, { force: true });
      await writeFile(path, bytes);
    }
    expect(await scenario.count("true", "firnline.pin")).toBe(0);
  });

  test.each(["removed", "truncated", "emptied"])(
    "is refused where an object or a manifest is %s",
    async (what) => {
      for (const pattern of [/dt=2026-01-10.*\.parquet$/, /dt=2025-12-29.*\.parquet$/, /\/manifests\//]) {
        const path = (await listArchive(scenario)).find((file) => pattern.test(file)) as string;
        const bytes = await readFile(path);
        await DAMAGES[what]?.(path);
        await expect(scenario.retrieve()).rejects.toMatchObject({
          code: expect.stringMatching(/^E_(?:VERIFY|FORMAT|ARCHIVE)$/),
        });
        await rm(path, { force: true });
        await writeFile(path, bytes);
      }
    },
  );

  test("does not touch an earlier answer of the same name", async () => {
    for (const name of await scenario.answers()) await rm(join(scenario.folder, name));
    const out = join(scenario.folder, "answer.ndjson");
    await writeFile(out, "the earlier answer\n");
    await writeFile(`${out}.evidence.json`, "{}");
    const [object] = await listArchive(scenario, ".parquet");
    await DAMAGES["removed"]?.(object as string);
    const { code, stderr } = await scenario.spawn([
      "retrieve",
      "audit-logs",
      "--from",
      "2025-12-01",
      "--to",
      "2026-02-28",
      "--out",
      out,
    ]).ended;
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/E_VERIFY .*is gone/) });
    expect(await readFile(out, "utf8")).toBe("the earlier answer\n");
    expect(await scenario.answers()).toEqual(["answer.ndjson", "answer.ndjson.evidence.json"]);
  });
});

/** What plans and `status` read from the catalog. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { Lease } from "../../src/catalog/port.ts";
import { CatalogScene, day, PIPELINE } from "./catalog-scene.ts";

let scene: CatalogScene;
let lease: Lease;
beforeEach(async () => {
  scene = await CatalogScene.create();
  lease = await scene.lease();
});
afterEach(async () => await scene[Symbol.asyncDispose]());

describe("a view for a plan", () => {
  it("of a database without a control schema, or without the pipeline, is empty", async () => {
    const empty = {
      pipeline: null,
      unfinished: [],
      dueForRewrite: [],
      dueForCold: [],
      archived: [],
      everMoved: false,
    };
    expect(await scene.catalog.view("nowhere", day("2026-01-01"), [day("2026-01-01")])).toEqual(empty);
    await scene.database.query("DROP SCHEMA firnline CASCADE");
    expect(await scene.catalog.view(PIPELINE, day("2026-01-01"), [day("2026-01-01")])).toEqual(empty);
    expect(await scene.catalog.pipeline(PIPELINE)).toBeNull();
    expect(await scene.catalog.totals(PIPELINE)).toEqual([]);
    expect(await scene.catalog.runs(PIPELINE, 5)).toEqual([]);
  });

  it("holds what is unfinished, what is due for cold, and which hot days were archived before", async () => {
    const uploaded = await scene.upload(lease, [1], "2026-01-05");
    const { segment: exporting } = await scene.reserve(lease, "2026-01-04");
    const pruning = await scene.pruning(lease, [1, 2], "2026-01-03");
    const warm = await scene.warm(lease, [1], "2026-01-02");
    const cooling = await scene.warm(lease, [1], "2026-01-01");
    await scene.catalog.classRequested(lease, cooling);
    const { segment: abandoned } = await scene.reserve(lease, "2026-01-01");
    await scene.catalog.abandon(lease, abandoned);
    const later = await scene.warm(lease, [1], "2026-01-06", "denied");

    const days = ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-09"].map(day);
    const view = await scene.catalog.view(PIPELINE, day("2026-01-02"), days);
    expect(view.unfinished.map(({ segment }) => segment)).toEqual([cooling, pruning, exporting, uploaded]);
    expect(view.dueForCold.map(({ segment }) => segment)).toEqual([warm]);
    expect(view.archived.toSorted((left, right) => left.day - right.day)).toEqual([
      { leaf: null, rule: "default", day: day("2026-01-01") },
      { leaf: null, rule: "default", day: day("2026-01-02") },
    ]);
    expect(view.everMoved).toBe(true);
    expect(view.pipeline?.pipeline).toBe(PIPELINE);
    expect((await scene.catalog.view(PIPELINE, null, [])).dueForCold).toEqual([]);
    const all = await scene.catalog.view(PIPELINE, day("2026-12-31"), days);
    expect(all.dueForCold.map(({ segment }) => segment)).toEqual([warm, later]);
  });

  it("says that nothing was ever moved as long as every segment was given up", async () => {
    expect((await scene.catalog.view(PIPELINE, null, [])).everMoved).toBe(false);
    const { segment } = await scene.reserve(lease);
    expect((await scene.catalog.view(PIPELINE, null, [])).everMoved).toBe(true);
    await scene.catalog.abandon(lease, segment);
    expect((await scene.catalog.view(PIPELINE, null, [])).everMoved).toBe(false);
  });

  it("does not mix pipelines", async () => {
    await scene.warm(lease, [1]);
    await scene.register("other");
    const view = await scene.catalog.view("other", day("2026-12-31"), [day("2026-01-03")]);
    expect(view).toMatchObject({ unfinished: [], dueForCold: [], archived: [], everMoved: false });
    expect(await scene.catalog.totals("other")).toEqual([]);
  });

  it("has totals by state, with the rows that are in the archive alone", async () => {
    await scene.warm(lease, [10, 20], "2026-01-01");
    await scene.warm(lease, [5], "2026-01-07");
    const pruning = await scene.pruning(lease, [1, 2, 4], "2026-01-03");
    await scene.prune(lease, pruning, [1], 2n);
    const totals = (await scene.catalog.totals(PIPELINE)).toSorted((a, b) => a.state.localeCompare(b.state));
    expect(totals).toEqual([
      {
        state: "pruning",
        storageClass: "STANDARD",
        isSmall: true,
        segments: 1,
        rows: 7n,
        rowsPruned: 2n,
        bytes: 4_096n,
        oldest: day("2026-01-03"),
        newest: day("2026-01-03"),
      },
      {
        state: "warm",
        storageClass: "STANDARD",
        isSmall: true,
        segments: 2,
        rows: 35n,
        rowsPruned: 35n,
        bytes: 8_192n,
        oldest: day("2026-01-01"),
        newest: day("2026-01-07"),
      },
    ]);
  });
});

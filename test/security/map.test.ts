/** That the map of security checks names tests that are there, and that run. */
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { CHECKS } from "./security.ts";

it.each(Object.entries(CHECKS))("%s", async (_check, held) => {
  expect(held.length).toBeGreaterThan(0);
  for (const [file, title] of held) {
    const text = await readFile(new URL(`../${file}`, import.meta.url), "utf8");
    const at = text.indexOf(JSON.stringify(title));
    expect(at, `${file}: ${title}`).toBeGreaterThan(0);
    expect(text.slice(Math.max(0, at - 120), at), `${file}: ${title}`).not.toMatch(
      /\.(?:skip|todo|fails)\b[^;]*$/,
    );
  }
});

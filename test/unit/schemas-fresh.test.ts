/** The generated files of `schemas/` are those that the code would write now. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { GENERATED_FILES, urlOf } from "../support/write-schemas.ts";

describe("schemas/", () => {
  it.each(GENERATED_FILES)(
    "$file is fresh (else: node test/support/write-schemas.ts)",
    ({ file, generate }) => {
      const text = generate();
      expect(readFileSync(urlOf(file), "utf8")).toBe(text);
      expect(JSON.parse(text)).toMatchObject({ $schema: "https://json-schema.org/draft/2020-12/schema" });
    },
  );
});

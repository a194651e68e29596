/**
 * The generated files of `schemas/`. Run it to write them: `node test/support/write-schemas.ts`.
 * `test/unit/schemas-fresh.test.ts` fails while a file is older than its source.
 */
import { writeFile } from "node:fs/promises";

import { pipelineJsonSchema } from "../../src/policy/json-schema.ts";
import { journalJsonSchema, manifestJsonSchema } from "../../src/segment/json-schema.ts";

export interface GeneratedFile {
  /** From the root of the repository. */
  readonly file: string;
  /** The whole text, with a final line feed. */
  readonly generate: () => string;
}

export const GENERATED_FILES: readonly GeneratedFile[] = [
  { file: "schemas/pipeline.schema.json", generate: pipelineJsonSchema },
  { file: "schemas/manifest.schema.json", generate: manifestJsonSchema },
  { file: "schemas/journal.schema.json", generate: journalJsonSchema },
];

export const urlOf = (file: string): URL => new URL(`../../${file}`, import.meta.url);

if (import.meta.main) {
  for (const { file, generate } of GENERATED_FILES) {
    await writeFile(urlOf(file), generate());
    process.stdout.write(`${file}\n`);
  }
}

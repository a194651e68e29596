/**
 * The JSON Schema of a policy file, for editors (yaml-language-server) and other tools. It describes what may
 * be *written*; the checks between fields are in `coherence.ts` alone.
 */
import { z } from "zod";

import { policyFile } from "./schema.ts";

/** Draft 2020-12. The text of `schemas/pipeline.schema.json`, with a final line feed. */
export function pipelineJsonSchema(): string {
  const schema = z.toJSONSchema(policyFile, { io: "input", target: "draft-2020-12" });
  return `${JSON.stringify(schema, null, 2)}\n`;
}

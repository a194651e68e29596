/** The JSON Schemas of manifests and journal entries, for readers that are not Firnline. */
import * as z from "zod";
import { journalEntrySchema } from "./journal.ts";
import { manifestSchema } from "./manifest.ts";

const asText = (schema: z.ZodType, title: string): string =>
  `${JSON.stringify({ title, ...z.toJSONSchema(schema, { target: "draft-2020-12" }) }, null, 2)}\n`;

export const manifestJsonSchema = (): string => asText(manifestSchema, "Manifest of a Firnline segment");

export const journalJsonSchema = (): string => asText(journalEntrySchema, "Entry of a Firnline journal");

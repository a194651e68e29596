/** The formats of answers, by name. */
import type { Environment } from "../../environment.ts";
import { assertNever } from "../../errors.ts";
import type { Column } from "../../rows/column.ts";
import type { AnswerWriter } from "./answer-writer.ts";
import { csvWriter } from "./csv.ts";
import { ndjsonWriter } from "./ndjson.ts";
import { parquetWriter } from "./parquet.ts";

/** `csv-raw` is CSV without the guard against formulas; see `csv.ts`. */
export type AnswerFormat = "ndjson" | "csv" | "csv-raw" | "parquet";

const BY_EXTENSION: Readonly<Record<string, AnswerFormat>> = { csv: "csv", parquet: "parquet" };

/** The format that a file's name speaks of: `.csv`, `.parquet`; NDJSON for any other. */
export function formatOfFile(path: string): AnswerFormat {
  const extension = /\.([a-z]+)$/.exec(path.toLowerCase())?.[1] ?? "";
  return Object.hasOwn(BY_EXTENSION, extension) ? (BY_EXTENSION[extension] as AnswerFormat) : "ndjson";
}

export function newAnswerWriter(
  format: AnswerFormat,
  columns: readonly Column[],
  environment: Pick<Environment<never>, "limits" | "newEncoder">,
  metadata: Readonly<Record<string, string>>,
): AnswerWriter {
  switch (format) {
    case "ndjson":
      return ndjsonWriter(columns);
    case "csv":
    case "csv-raw":
      return csvWriter(columns, { raw: format === "csv-raw" });
    case "parquet": {
      const { limits, newEncoder } = environment;
      const { rowGroupRowsMax, rowGroupBytesMax } = limits;
      return parquetWriter(columns, { newEncoder, rowGroupRowsMax, rowGroupBytesMax, metadata });
    }
    default:
      return assertNever(format, "format");
  }
}

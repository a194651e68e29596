/** Parquet files through the eyes of readers that nobody here wrote. */
import { writeFile, rm, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { type FileMetaData, parquetMetadata, parquetRead } from "hyparquet";
import { Compression, readParquet, writeParquet, WriterPropertiesBuilder } from "parquet-wasm";

export const compressors = { ZSTD: (input: Uint8Array) => new Uint8Array(zstdDecompressSync(input)) };

export const bufferOf = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer as ArrayBuffer;

/** The footer without logical types, so that values come as they are stored. */
function physicalMetadata(file: ArrayBuffer): FileMetaData {
  const metadata = parquetMetadata(file);
  for (const element of metadata.schema) {
    delete element.converted_type;
    delete element.logical_type;
  }
  return metadata;
}

/** Rows of physical values, as hyparquet reads them. */
export async function physicalRows(bytes: Uint8Array): Promise<unknown[][]> {
  const file = bufferOf(bytes);
  let rows: unknown[][] = [];
  await parquetRead({
    file,
    metadata: physicalMetadata(file),
    utf8: false,
    compressors,
    onComplete: (all) => {
      rows = all;
    },
  });
  return rows;
}

/** The same values as Rust's reader understands them, in a plain file that its writer made. */
export function rewrittenByRust(bytes: Uint8Array): Uint8Array {
  const properties = new WriterPropertiesBuilder().setCompression(Compression.UNCOMPRESSED).build();
  return writeParquet(readParquet(bytes), properties);
}

/** A file on disk that DuckDB is asked about; `FILE` in the query is its name. */
export class DuckDbFile implements AsyncDisposable {
  readonly #folder: string;
  readonly #path: string;

  constructor(folder: string, path: string) {
    this.#folder = folder;
    this.#path = path;
  }

  static async of(bytes: Uint8Array): Promise<DuckDbFile> {
    const folder = await mkdtemp(join(tmpdir(), "firnline-duckdb-"));
    const path = join(folder, "file.parquet");
    await writeFile(path, bytes);
    return new DuckDbFile(folder, path);
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    try {
      const result = await connection.runAndReadAll(sql.replaceAll("FILE", `'${this.#path}'`));
      return result.getRowObjectsJson() as Record<string, unknown>[];
    } finally {
      connection.closeSync();
      instance.closeSync();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** What an archive in a folder holds, and what is read of it. */
import { randomBytes } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { openFileArchive } from "../../../src/archive/file/file-archive.ts";
import type { Archive, ByteRange, Locator } from "../../../src/archive/port.ts";
import { systemClock } from "../../../src/wiring.ts";

/** Of its Parquet objects: no manifests, no journal. */
export function parquetBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".parquet"))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** A file archive that counts the bytes of objects that are read of it. */
export class CountingArchive {
  bytesRead = 0;

  /** The archive of `folder`; its `bytesRead` grows. */
  static open(folder: string): Archive & { readonly bytesRead: number } {
    const counter = new CountingArchive();
    const archive = openFileArchive({
      root: folder,
      now: systemClock.now,
      random: (bytes) => randomBytes(bytes),
      restoreDelayMs: 0,
    });
    return new Proxy(archive, {
      get(target, name) {
        if (name === "bytesRead") return counter.bytesRead;
        if (name === "read")
          return (object: Locator, range?: ByteRange, signal?: AbortSignal) =>
            counter.#count(target.read(object, range, signal));
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    }) as Archive & { readonly bytesRead: number };
  }

  async *#count(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of chunks) {
      this.bytesRead += chunk.length;
      yield chunk;
    }
  }
}

/** One column of one row group to pages: values, dictionary or not, statistics, bloom filter. */
import type { RawRows } from "../../rows/copy-binary.ts";
import { filterOfBytes, filterOfDictionary, filterOfWords } from "./bloom-filter.ts";
import {
  extremesOf16,
  extremesOfBytes,
  extremesOfFloats,
  extremesOfInt32,
  extremesOfInt64,
  type Extremes,
} from "./bounds.ts";
import { type ChunkCells, ColumnCells, type ExceptionList } from "./column-cells.ts";
import { type ColumnForm, gather } from "./column-form.ts";
import { Dictionary } from "./dictionary.ts";
import { bitsOf, hybridBytesMax, writeFullLevels, writeHybrid } from "./hybrid-runs.ts";
import type { DataPage, DictionaryPage } from "./page.ts";
import { PageCompressor } from "./page-compressor.ts";
import {
  packNumbers,
  pageBytesMax,
  type PageRange,
  pageRanges,
  plainBytes,
  writeIndexes,
  writeValues,
} from "./page-values.ts";
import { ENCODING } from "./parquet-format.ts";
import { type Bounds, boundsOfBytes } from "./statistics.ts";

export interface EncodedColumn {
  readonly form: ColumnForm;
  readonly rows: number;
  readonly dictionary: DictionaryPage | null;
  readonly pages: readonly DataPage[];
  readonly bloomFilter: Uint8Array | null;
  /** A time column without NULL whose values never fall. */
  readonly isSorted: boolean;
}

/** Of what PLAIN takes: a dictionary is read and decoded before any page, for as many bytes it is not worth it. */
const DICTIONARY_SHARE_MAX = 0.75;
/** A dictionary of so few entries is taken though differences might be shorter: zstd makes more of its indexes. */
const FEW_ENTRIES = 256;
/** Values that are packed on trial. */
const TRIAL_VALUES = 1024;

export class ColumnEncoder {
  readonly #cells = new ColumnCells();
  readonly #dictionary = new Dictionary();
  readonly #compressor = new PageCompressor();
  readonly #found: Extremes = { min: 0, max: 0 };
  #levels = new Uint8Array(1024);
  #seen = new Int32Array(0);

  /** Resolves when all pages are handed to the compressor. `exceptions` has a list for each chunk. */
  async encode(
    form: ColumnForm,
    chunks: readonly RawRows[],
    exceptions: readonly ExceptionList[],
  ): Promise<EncodedColumn> {
    const gathered = this.#gather(form, chunks, exceptions);
    const { firstRow, rows: lastRows, endValue: count } = gathered.at(-1) as ChunkCells;
    const rows = firstRow + lastRows;
    const hasDictionary = form.hasDictionary && count > 0 && this.#buildDictionary(form, gathered, count);
    const bloomFilter = form.hasBloomFilter ? this.#bloomFilter(form, gathered, count, hasDictionary) : null;
    const dictionary = hasDictionary ? await this.#dictionaryPage() : null;
    const indexBits = hasDictionary ? bitsOf(this.#dictionary.entries - 1) : 0;
    if (hasDictionary) this.#seen = new Int32Array(this.#dictionary.entries);
    const pages: DataPage[] = [];
    for (const chunk of gathered) {
      for (const range of pageRanges(form, this.#cells, chunk, hasDictionary)) {
        pages.push(await this.#dataPage(form, chunk, range, indexBits, pages.length + 1));
      }
    }
    const isSorted = form.isTime && count === rows && isRising(this.#cells.words, form.words, count);
    return { form, rows, dictionary, pages, bloomFilter, isSorted };
  }

  #gather(form: ColumnForm, chunks: readonly RawRows[], exceptions: readonly ExceptionList[]): ChunkCells[] {
    const cells = this.#cells;
    const allRows = chunks.reduce((sum, { rows }) => sum + rows, 0);
    cells.reserve(allRows);
    cells.levels.fill(1, 0, allRows);
    let firstRow = 0;
    let firstValue = 0;
    return chunks.map(({ rows, columns }, index) => {
      const raw = columns[form.index] as Uint8Array;
      const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
      const ofChunk = exceptions[index] as ExceptionList;
      const from = { column: form.index, raw, view, rows, firstRow, firstValue, exceptions: ofChunk };
      const { values, source } = gather(form, from, cells);
      const chunk = { rows, firstRow, firstValue, endValue: firstValue + values, source };
      firstRow += rows;
      firstValue += values;
      return chunk;
    });
  }

  /** Whether the column is better off with a dictionary, which is then the one that was built last. */
  #buildDictionary(form: ColumnForm, chunks: readonly ChunkCells[], count: number): boolean {
    const { words } = form;
    const dictionary = this.#dictionary;
    const isBuilt =
      words === 0
        ? dictionary.ofBytes(this.#cells, chunks, count)
        : dictionary.ofWords(this.#cells, count, words);
    if (!isBuilt) return false;
    const bytes = dictionary.byteLength + (count * bitsOf(dictionary.entries - 1)) / 8;
    if (bytes > plainBytes(form, this.#cells, 0, count) * DICTIONARY_SHARE_MAX) return false;
    return !form.hasDelta || dictionary.entries <= FEW_ENTRIES || bytes < this.#deltaBytes(form, count);
  }

  /** What packed differences would come to, from the first values. */
  #deltaBytes(form: ColumnForm, count: number): number {
    const trial = Math.min(count, TRIAL_VALUES);
    const bytes = new Uint8Array(TRIAL_VALUES * 16);
    const packed = packNumbers(form, this.#cells.words, 0, trial, {
      bytes,
      view: new DataView(bytes.buffer),
    });
    return packed < 0 ? Number.POSITIVE_INFINITY : (packed / trial) * count;
  }

  #bloomFilter(
    form: ColumnForm,
    chunks: readonly ChunkCells[],
    count: number,
    hasDictionary: boolean,
  ): Uint8Array {
    if (hasDictionary) return filterOfDictionary(this.#dictionary);
    return form.words === 0
      ? filterOfBytes(this.#cells, chunks, count)
      : filterOfWords(this.#cells, count, form.words);
  }

  async #dictionaryPage(): Promise<DictionaryPage> {
    const { bytes, byteLength, entries } = this.#dictionary;
    const buffer = await this.#compressor.buffer(byteLength);
    buffer.bytes.set(bytes.subarray(0, byteLength));
    const compressed = this.#compressor.compress(buffer, byteLength);
    return { values: entries, rawBytes: byteLength, compressed: observed(compressed) };
  }

  async #dataPage(
    form: ColumnForm,
    chunk: ChunkCells,
    range: PageRange,
    indexBits: number,
    page: number,
  ): Promise<DataPage> {
    const { firstRow, endRow, firstValue, endValue } = range;
    const rows = endRow - firstRow;
    const nulls = rows - (endValue - firstValue);
    const levels = this.#levelsOf(range, nulls);
    const compressor = this.#compressor;
    const buffer = await compressor.buffer(pageBytesMax(form, this.#cells, range, indexBits));
    if (nulls === rows) {
      const compressed = observed(compressor.compress(buffer, 0));
      return {
        statistics: { rows, nulls, bounds: null },
        encoding: ENCODING.plain,
        levels,
        rawBytes: 0,
        compressed,
      };
    }
    const { encoding, bytes } =
      indexBits > 0
        ? writeIndexes(this.#cells, range, indexBits, buffer)
        : writeValues(form, this.#cells, chunk, range, buffer);
    const compressed = observed(compressor.compress(buffer, bytes));
    const bounds = this.#boundsOf(form, chunk, range, indexBits > 0, page);
    return { statistics: { rows, nulls, bounds }, encoding, levels, rawBytes: bytes, compressed };
  }

  #levelsOf({ firstRow, endRow }: PageRange, nulls: number): Uint8Array {
    const rows = endRow - firstRow;
    const bytesMax = hybridBytesMax(rows, 1);
    if (bytesMax > this.#levels.length) this.#levels = new Uint8Array(bytesMax * 2);
    const end =
      nulls === 0
        ? writeFullLevels(rows, this.#levels, 0)
        : writeHybrid(this.#cells.levels, firstRow, endRow, 1, this.#levels, 0);
    return this.#levels.slice(0, end);
  }

  #boundsOf(
    form: ColumnForm,
    chunk: ChunkCells,
    { firstValue, endValue }: PageRange,
    hasEntries: boolean,
    page: number,
  ): Bounds | null {
    const cells = this.#cells;
    const found = this.#found;
    const { words, bytes, starts, lengths } = cells;
    if (form.words === 0) {
      const { source } = chunk;
      const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
      extremesOfBytes(view, cells, firstValue, endValue, hasEntries ? this.#seen : null, page, found);
      const at = (value: number): Uint8Array => {
        const start = starts[value] as number;
        return source.subarray(start, start + (lengths[value] as number));
      };
      return boundsOfBytes(at(found.min), at(found.max), form.isText);
    }
    if (form.order === "int32" || form.order === "boolean") {
      extremesOfInt32(words, firstValue, endValue, found);
    } else if (form.order === "int64") {
      extremesOfInt64(words, firstValue, endValue, found);
    } else if (form.order === "float" || form.order === "double") {
      const floats = form.order === "float" ? new Float32Array(words.buffer) : new Float64Array(words.buffer);
      if (!extremesOfFloats(floats, firstValue, endValue, found)) return null;
    } else {
      const view = new DataView(bytes.buffer);
      extremesOf16(view, firstValue, endValue, form.order === "signed16", found);
    }
    const width = form.order === "boolean" ? 1 : form.words * 4;
    const at = (value: number): Uint8Array => {
      const start = value * form.words * 4;
      return bytes.slice(start, start + width);
    };
    const bounds = { min: at(found.min), max: at(found.max), isMinExact: true, isMaxExact: true };
    if (form.order === "float" || form.order === "double") signZeros(bounds);
    return bounds;
  }
}

/** A failure is told to whoever awaits the page, perhaps after another failure. */
function observed(compressed: Promise<Uint8Array>): Promise<Uint8Array> {
  compressed.catch(() => {});
  return compressed;
}

/** Zeros of either sign are one number: the smallest is written as -0, the largest as +0. */
function signZeros({ min, max }: Bounds): void {
  const isZero = (bound: Uint8Array): boolean =>
    bound.every((byte, at) => (at === bound.length - 1 ? (byte & 0x7f) === 0 : byte === 0));
  if (isZero(min)) min[min.length - 1] = 0x80;
  if (isZero(max)) max[max.length - 1] = 0;
}

function isRising(words: Int32Array, wordCount: number, count: number): boolean {
  for (let value = 1; value < count; value += 1) {
    const at = value * wordCount;
    const high = words[at + wordCount - 1] as number;
    const highBefore = words[at - 1] as number;
    if (high < highBefore) return false;
    if (
      wordCount === 2 &&
      high === highBefore &&
      (words[at] as number) >>> 0 < (words[at - 2] as number) >>> 0
    )
      return false;
  }
  return true;
}

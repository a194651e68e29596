/**
 * Dictionaries of a column's values, keyed by their bytes: a hash table over numbers of entries, no JavaScript value a
 * cell. The entries lie one behind the other as the dictionary page wants them, in PLAIN.
 *
 * A sample over the whole row group comes first: a column of unique values is not worth a table.
 */
import type { ChunkCells, ColumnCells } from "./column-cells.ts";

/** A dictionary that is larger does not pay: it is read before any page. */
const DICTIONARY_BYTES_MAX = 1024 * 1024;
const SAMPLE_MAX = 1024;
const SAMPLE_SLOTS = 4096;
/** Steps a value, on average. Values that somebody chose for their hashes would make it thousands. */
const STEPS_MAX = 16;
/** What is sampled of a value, besides its length: so much of its head and of its tail. */
const SAMPLE_BYTES = 48;

/** Murmur3's rounds over the words of a value and its length. Source: https://github.com/aappleby/smhasher */
function mixed(hash: number, word: number): number {
  let mix = Math.imul(word, 0xcc9e_2d51);
  mix = (mix << 15) | (mix >>> 17);
  const next = hash ^ Math.imul(mix, 0x1b87_3593);
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0xe654_6b64) | 0;
}

function finished(hash: number): number {
  const half = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return half ^ (half >>> 13);
}

export function hashOfBytes(view: DataView, start: number, length: number): number {
  const end = start + length;
  let hash = length;
  let at = start;
  for (; at + 4 <= end; at += 4) hash = mixed(hash, view.getInt32(at, true));
  let tail = 0;
  for (; at < end; at += 1) tail = (tail << 8) | view.getUint8(at);
  return finished(mixed(hash, tail));
}

/** A hash of a long value's ends: values that differ in between only cost a table that is given up later. */
function sampledHash(view: DataView, start: number, length: number): number {
  if (length <= SAMPLE_BYTES * 2) return hashOfBytes(view, start, length);
  const head = hashOfBytes(view, start, SAMPLE_BYTES);
  return mixed(mixed(head, length), hashOfBytes(view, start + length - SAMPLE_BYTES, SAMPLE_BYTES));
}

export function hashOfWords(words: Int32Array, at: number, count: number): number {
  let hash = 0;
  for (let index = at; index < at + count; index += 1) hash = mixed(hash, words[index] as number);
  return finished(hash);
}

/** What a column's dictionary is built with; its buffers serve one column after the other. */
export class Dictionary {
  /** How many entries there are; their bytes, as a PLAIN page, are the first `byteLength` of `bytes`. */
  entries = 0;
  byteLength = 0;
  bytes = new Uint8Array(64 * 1024);
  /** For each entry where it begins in `bytes`: behind its length, if it has one. */
  starts = new Int32Array(1024);
  lengths = new Int32Array(1024);
  #view = new DataView(this.bytes.buffer);
  #words = new Int32Array(this.bytes.buffer);
  #hashes = new Int32Array(1024);
  #slots = new Int32Array(4096);
  /** Steps along the table that may still be made for values whose slots are taken. */
  #stepsLeft = 0;
  readonly #sample = new Int32Array(SAMPLE_SLOTS);

  /**
   * Gives each value of `wordCount` words the number of its entry, in `cells.indexes`. False if a dictionary would not
   * pay: too many entries.
   */
  ofWords(cells: ColumnCells, count: number, wordCount: number): boolean {
    const { words, indexes } = cells;
    if (!this.#looksRepeated(cells, null, count, wordCount)) return false;
    const entriesMax = this.#begin(count);
    for (let value = 0; value < count; value += 1) {
      const at = value * wordCount;
      const hash = hashOfWords(words, at, wordCount);
      let slot = hash & (this.#slots.length - 1);
      let entry = (this.#slots[slot] as number) - 1;
      while (entry >= 0 && !(this.#hashes[entry] === hash && this.#hasWords(entry, words, at, wordCount))) {
        slot = (slot + 1) & (this.#slots.length - 1);
        entry = (this.#slots[slot] as number) - 1;
        this.#stepsLeft -= 1;
      }
      if (this.#stepsLeft < 0) return false;
      if (entry < 0) {
        entry = this.entries;
        if (entry >= entriesMax || this.byteLength + wordCount * 4 > DICTIONARY_BYTES_MAX) return false;
        this.#reserve(wordCount * 4);
        for (let index = 0; index < wordCount; index += 1) {
          this.#words[(this.byteLength >> 2) + index] = words[at + index] as number;
        }
        this.#add(slot, hash, this.byteLength, wordCount * 4);
      }
      indexes[value] = entry;
    }
    return true;
  }

  /** The same for values of any length. */
  ofBytes(cells: ColumnCells, chunks: readonly ChunkCells[], count: number): boolean {
    if (!this.#looksRepeated(cells, chunks, count, 0)) return false;
    const entriesMax = this.#begin(count);
    return chunks.every((chunk) => this.#addChunk(cells, chunk, entriesMax));
  }

  #addChunk(cells: ColumnCells, chunk: ChunkCells, entriesMax: number): boolean {
    const { starts, lengths, indexes } = cells;
    const { source, firstValue, endValue } = chunk;
    const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    for (let value = firstValue; value < endValue; value += 1) {
      const start = starts[value] as number;
      const length = lengths[value] as number;
      const hash = hashOfBytes(view, start, length);
      let slot = hash & (this.#slots.length - 1);
      let entry = (this.#slots[slot] as number) - 1;
      while (entry >= 0 && !(this.#hashes[entry] === hash && this.#hasBytes(entry, view, start, length))) {
        slot = (slot + 1) & (this.#slots.length - 1);
        entry = (this.#slots[slot] as number) - 1;
        this.#stepsLeft -= 1;
      }
      if (this.#stepsLeft < 0) return false;
      if (entry < 0) {
        entry = this.entries;
        if (entry >= entriesMax || this.byteLength + length + 4 > DICTIONARY_BYTES_MAX) return false;
        this.#reserve(length + 4);
        this.#view.setInt32(this.byteLength, length, true);
        this.byteLength += 4;
        this.bytes.set(source.subarray(start, start + length), this.byteLength);
        this.#add(slot, hash, this.byteLength, length);
      }
      indexes[value] = entry;
    }
    return true;
  }

  /** Empties it for `count` values; returns how many entries there may be. */
  #begin(count: number): number {
    this.entries = 0;
    this.byteLength = 0;
    this.#stepsLeft = count * STEPS_MAX;
    const entriesMax = Math.max(1, count >> 1);
    let slots = 4096;
    while (slots < entriesMax * 2) slots *= 2;
    if (this.#slots.length === slots) this.#slots.fill(0);
    else this.#slots = new Int32Array(slots);
    return entriesMax;
  }

  #add(slot: number, hash: number, start: number, length: number): void {
    const entry = this.entries;
    if (entry === this.#hashes.length) {
      this.#hashes = doubled(this.#hashes);
      this.starts = doubled(this.starts);
      this.lengths = doubled(this.lengths);
    }
    this.#hashes[entry] = hash;
    this.starts[entry] = start;
    this.lengths[entry] = length;
    this.#slots[slot] = entry + 1;
    this.entries = entry + 1;
    this.byteLength = start + length;
  }

  #hasWords(entry: number, words: Int32Array, at: number, count: number): boolean {
    const own = (this.starts[entry] as number) >> 2;
    for (let index = 0; index < count; index += 1) {
      if (this.#words[own + index] !== words[at + index]) return false;
    }
    return true;
  }

  #hasBytes(entry: number, view: DataView, start: number, length: number): boolean {
    if (this.lengths[entry] !== length) return false;
    const own = this.starts[entry] as number;
    let at = 0;
    for (; at + 4 <= length; at += 4) {
      if (this.#view.getInt32(own + at) !== view.getInt32(start + at)) return false;
    }
    for (; at < length; at += 1) if (this.bytes[own + at] !== view.getUint8(start + at)) return false;
    return true;
  }

  #reserve(more: number): void {
    if (this.byteLength + more <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, (this.byteLength + more + 3) & ~3));
    grown.set(this.bytes.subarray(0, this.byteLength));
    this.bytes = grown;
    this.#view = new DataView(grown.buffer);
    this.#words = new Int32Array(grown.buffer);
  }

  /**
   * Whether values come again often enough for a dictionary of at most half as many entries. Of `s` values among `count`
   * with `d` different ones, about `s * s / 2d` pairs are equal. The sample's steps are irregular: a period in the
   * data must not hide behind them. Different values with the same hash are too rare to matter here.
   */
  #looksRepeated(
    cells: ColumnCells,
    chunks: readonly ChunkCells[] | null,
    count: number,
    wordCount: number,
  ): boolean {
    if (count <= SAMPLE_MAX * 2) return count > 0;
    const step = count / SAMPLE_MAX;
    this.#sample.fill(0);
    let random = 0x2545_f491;
    let sampled = 0;
    let repeated = 0;
    let chunkAt = 0;
    let view: DataView | null = null;
    for (let base = 0; base + step <= count; base += step) {
      random ^= random << 13;
      random ^= random >>> 17;
      random ^= random << 5;
      const value = Math.trunc(base + ((random >>> 0) / 4_294_967_296) * step);
      let hash: number;
      if (chunks === null) {
        hash = hashOfWords(cells.words, value * wordCount, wordCount);
      } else {
        let chunk = chunks[chunkAt] as ChunkCells;
        while (value >= chunk.endValue) {
          chunkAt += 1;
          chunk = chunks[chunkAt] as ChunkCells;
          view = null;
        }
        view ??= new DataView(chunk.source.buffer, chunk.source.byteOffset, chunk.source.byteLength);
        hash = sampledHash(view, cells.starts[value] as number, cells.lengths[value] as number);
      }
      const key = hash === 0 ? 1 : hash;
      let slot = key & (SAMPLE_SLOTS - 1);
      while (this.#sample[slot] !== 0 && this.#sample[slot] !== key) slot = (slot + 1) & (SAMPLE_SLOTS - 1);
      if (this.#sample[slot] === key) repeated += 1;
      this.#sample[slot] = key;
      sampled += 1;
    }
    return repeated * count > (sampled * sampled) / 2;
  }
}

function doubled(numbers: Int32Array): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(numbers.length * 2);
  grown.set(numbers);
  return grown;
}

/**
 * Thrift's compact protocol, as far as Parquet's structures need it. Fields are written in rising order of their ids.
 * Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */
import { invariant } from "../../errors.ts";

const TRUE = 1;
const FALSE = 2;
const BYTE = 3;
const I32 = 5;
const I64 = 6;
const BINARY = 8;
const LIST = 9;
const STRUCT = 12;

/** The types of a list's elements. */
export const ELEMENT = { bool: TRUE, i32: I32, i64: I64, binary: BINARY, struct: STRUCT } as const;

const utf8 = new TextEncoder();

export class ThriftWriter {
  #bytes: Uint8Array;
  #length = 0;
  #lastField = 0;
  readonly #outer: number[] = [];

  constructor(bytesExpected = 256) {
    this.#bytes = new Uint8Array(bytesExpected);
  }

  bool(field: number, value: boolean): void {
    this.#field(field, value ? TRUE : FALSE);
  }

  /** An 8-bit integer, 0 to 127. */
  byte(field: number, value: number): void {
    this.#field(field, BYTE);
    this.#put(value);
  }

  /** Numbers here are counts, sizes and ids: never negative, and exact as JavaScript numbers. */
  i32(field: number, value: number): void {
    this.#field(field, I32);
    this.#unsigned(value);
  }

  i64(field: number, value: number | bigint): void {
    this.#field(field, I64);
    this.#unsigned(value);
  }

  binary(field: number, value: Uint8Array): void {
    this.#field(field, BINARY);
    this.binaryElement(value);
  }

  text(field: number, value: string): void {
    this.binary(field, utf8.encode(value));
  }

  /** So many elements must follow. */
  list(field: number, type: number, count: number): void {
    this.#field(field, LIST);
    if (count < 15) {
      this.#put((count << 4) | type);
    } else {
      this.#put(0xf0 | type);
      this.#varint(count);
    }
  }

  boolElement(value: boolean): void {
    this.#put(value ? TRUE : FALSE);
  }

  integerElement(value: number | bigint): void {
    this.#unsigned(value);
  }

  binaryElement(value: Uint8Array): void {
    this.#varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  textElement(value: string): void {
    this.binaryElement(utf8.encode(value));
  }

  struct(field: number): void {
    this.#field(field, STRUCT);
    this.structElement();
  }

  structElement(): void {
    this.#outer.push(this.#lastField);
    this.#lastField = 0;
  }

  /** Ends a struct, the outermost included. */
  end(): void {
    this.#put(0);
    this.#lastField = this.#outer.pop() ?? 0;
  }

  emptyStruct(field: number): void {
    this.struct(field);
    this.end();
  }

  /** What another writer wrote that stopped within structs: in these fields, from the outermost on. */
  resume(bytes: Uint8Array, fields: readonly number[]): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    this.#outer.push(...fields.slice(0, -1));
    this.#lastField = fields.at(-1) ?? 0;
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #field(field: number, type: number): void {
    const delta = field - this.#lastField;
    invariant(delta > 0 && delta < 16, "parquet", `field ${field} after ${this.#lastField}`);
    this.#put((delta << 4) | type);
    this.#lastField = field;
  }

  #unsigned(value: number | bigint): void {
    const number = Number(value);
    invariant(number >= 0 && number <= Number.MAX_SAFE_INTEGER / 2, "parquet", `the number ${value}`);
    this.#varint(number * 2); // zigzag
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.#put((rest % 0x80) | 0x80);
    this.#put(rest);
  }

  #put(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = byte;
    this.#length += 1;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}

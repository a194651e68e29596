/**
 * Thrift's compact protocol, as far as Parquet uses it: page headers, the indexes and the footer. Every length is held
 * against the bytes that are left, and all values together against what the caller can have a use for: an empty structure
 * is a byte in the file, and some hundred in memory. So damage ends in an `Error` and never in a large allocation.
 * Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */

export type ThriftValue = number | boolean | Uint8Array | readonly ThriftValue[] | ThriftStruct;
/** Values by field number; fields that nobody asks for are in it too. */
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;

/** Parquet's own structures are six deep. */
const DEPTH_MAX = 16;

const [STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, STRUCT] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12,
];

export class ThriftReader {
  readonly #bytes: Uint8Array;
  /** Fields and elements that may still come. */
  #valuesLeft: number;
  /** Where the next byte is read from. */
  at: number;

  /** `valuesMax`: of fields of structures and elements of lists, at any depth. */
  constructor(bytes: Uint8Array, valuesMax: number, at = 0) {
    this.#bytes = bytes;
    this.#valuesLeft = valuesMax;
    this.at = at;
  }

  struct(depth = 0): ThriftStruct {
    if (depth > DEPTH_MAX) throw new Error("a structure that is nested too deep");
    const fields = new Map<number, ThriftValue>();
    for (let id = 0; ;) {
      const head = this.#byte();
      const type = head & 0x0f;
      if (type === STOP) return fields;
      this.#spend(1);
      id = head >> 4 === 0 ? this.#zigzag() : id + (head >> 4);
      fields.set(id, type === TRUE || type === FALSE ? type === TRUE : this.#value(type, depth));
    }
  }

  /** As `struct`; but of the structures in the list `field` only where each begins, to be read when it is wanted. */
  outline(field: number): { readonly fields: ThriftStruct; readonly starts: readonly number[] } {
    const fields = new Map<number, ThriftValue>();
    const starts: number[] = [];
    for (let id = 0; ;) {
      const head = this.#byte();
      const type = head & 0x0f;
      if (type === STOP) return { fields, starts };
      this.#spend(1);
      id = head >> 4 === 0 ? this.#zigzag() : id + (head >> 4);
      if (id === field && type === LIST) {
        for (const element of this.#elements(0)) {
          if (element !== STRUCT) throw new Error(`an element of field ${field} is no structure`);
          starts.push(this.at);
          this.#skip(element, 1);
        }
      } else fields.set(id, type === TRUE || type === FALSE ? type === TRUE : this.#value(type, 0));
    }
  }

  #skip(type: number, depth: number): void {
    if (type === STRUCT) {
      if (depth > DEPTH_MAX) throw new Error("a structure that is nested too deep");
      for (;;) {
        const head = this.#byte();
        const inside = head & 0x0f;
        if (inside === STOP) return;
        this.#spend(1);
        if (head >> 4 === 0) this.#varint();
        if (inside !== TRUE && inside !== FALSE) this.#skip(inside, depth + 1);
      }
    } else if (type === LIST || type === SET) {
      for (const element of this.#elements(depth)) this.#skip(element, depth + 1);
    } else if (type === BINARY) this.#pass(this.#varint());
    else if (type === DOUBLE) this.#pass(8);
    else this.#value(type, depth);
  }

  /** The type of a list's elements, once for each of them. */
  *#elements(depth: number): Generator<number, void, undefined> {
    if (depth > DEPTH_MAX) throw new Error("a list that is nested too deep");
    const head = this.#byte();
    const count = head >> 4 === 15 ? this.#varint() : head >> 4;
    // No element is shorter than a byte.
    if (count > this.#bytes.length - this.at) throw new Error(`a list of ${count} elements`);
    this.#spend(count);
    for (let index = 0; index < count; index += 1) yield head & 0x0f;
  }

  #value(type: number, depth: number): ThriftValue {
    switch (type) {
      // Only elements of lists come here: a field has its truth in its type.
      case TRUE:
      case FALSE:
        return this.#byte() === 1;
      case BYTE:
        return (this.#byte() << 24) >> 24;
      case I16:
      case I32:
      case I64:
        return this.#zigzag();
      case DOUBLE:
        return this.#binary(8);
      case BINARY:
        return this.#binary(this.#varint());
      case LIST:
      case SET:
        return this.#list(depth);
      case STRUCT:
        return this.struct(depth + 1);
      default:
        throw new Error(`a value of Thrift's type ${type}`);
    }
  }

  #list(depth: number): ThriftValue[] {
    const values: ThriftValue[] = [];
    for (const type of this.#elements(depth)) values.push(this.#value(type, depth + 1));
    return values;
  }

  #spend(values: number): void {
    this.#valuesLeft -= values;
    if (this.#valuesLeft < 0) throw new Error("a structure of more values than there can be");
  }

  #byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw new Error("a structure without an end");
    this.at += 1;
    return byte;
  }

  #binary(length: number): Uint8Array {
    const start = this.at;
    this.#pass(length);
    return this.#bytes.subarray(start, this.at);
  }

  #pass(length: number): void {
    if (this.at + length > this.#bytes.length) throw new Error(`a text of ${length} bytes that is cut`);
    this.at += length;
  }

  /** What JavaScript cannot count is no size, offset or count of ours. */
  #varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (value > Number.MAX_SAFE_INTEGER || factor > 2 ** 63) throw new Error("a number that is too large");
      if (byte < 0x80) return value;
    }
  }

  #zigzag(): number {
    const folded = this.#varint();
    return folded % 2 === 1 ? -(folded + 1) / 2 : folded / 2;
  }
}

/** The whole number in a field; undefined where there is none. */
export function integer(from: ThriftStruct, field: number): number | undefined {
  const value = from.get(field);
  if (value === undefined || typeof value === "number") return value;
  throw new Error(`field ${field} is no number`);
}

export function flag(from: ThriftStruct, field: number): boolean | undefined {
  const value = from.get(field);
  if (value === undefined || typeof value === "boolean") return value;
  throw new Error(`field ${field} is no flag`);
}

export function binary(from: ThriftStruct, field: number): Uint8Array | undefined {
  const value = from.get(field);
  if (value === undefined || value instanceof Uint8Array) return value;
  throw new Error(`field ${field} is no text`);
}

export function struct(from: ThriftStruct, field: number): ThriftStruct | undefined {
  const value = from.get(field);
  if (value === undefined || value instanceof Map) return value;
  throw new Error(`field ${field} is no structure`);
}

export function list(from: ThriftStruct, field: number): readonly ThriftValue[] | undefined {
  const value = from.get(field);
  if (value === undefined || Array.isArray(value)) return value;
  throw new Error(`field ${field} is no list`);
}

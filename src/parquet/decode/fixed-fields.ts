/**
 * Fields of one length: numbers change from little-endian to big-endian order, instants and days from 1970 to 2000.
 * Nothing here is shared with the encoder, as the seal compares what comes out with what Postgres sent.
 */
import type { ValueKind } from "../../rows/column.ts";
import type { FixedCells } from "./cells.ts";
import type { FieldSink, FieldSource } from "./field-sink.ts";

/** The bytes of a field. */
export const FIXED_FIELD_BYTES: Readonly<Partial<Record<ValueKind, number>>> = {
  bool: 1,
  int2: 2,
  int4: 4,
  int8: 8,
  float4: 4,
  float8: 8,
  timestamptz: 8,
  timestamp: 8,
  date: 4,
  time: 8,
  uuid: 16,
};

/** From 1970-01-01 to 2000-01-01: days, and microseconds as two halves of 64 bits. */
const EPOCH_DAYS = 10_957;
const EPOCH_MICROS = 946_684_800_000_000n;
const EPOCH_LOW = Number(EPOCH_MICROS & 0xffff_ffffn);
const EPOCH_HIGH = Number(EPOCH_MICROS >> 32n);

export class FixedFields implements FieldSource {
  readonly #kind: ValueKind;
  readonly #fieldBytes: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(kind: ValueKind, { bytes }: FixedCells) {
    this.#kind = kind;
    this.#fieldBytes = FIXED_FIELD_BYTES[kind] as number;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  bytesMax(_from: number, count: number): number {
    return count * (4 + this.#fieldBytes);
  }

  write(sink: FieldSink, from: number, count: number): void {
    const to = from + count;
    switch (this.#kind) {
      case "bool":
        writeBytes(this.#bytes, sink, from, to);
        break;
      case "int2":
        writeInt16(this.#view, sink, from, to);
        break;
      case "int4":
      case "float4":
        writeInt32(this.#view, sink, from, to, 0);
        break;
      case "date":
        writeInt32(this.#view, sink, from, to, EPOCH_DAYS);
        break;
      case "timestamptz":
      case "timestamp":
        writeInstants(this.#view, sink, from, to);
        break;
      case "uuid":
        writeUuids(this.#view, sink, from, to);
        break;
      default:
        writeInt64(this.#view, sink, from, to);
    }
    sink.length += count * (4 + this.#fieldBytes);
  }
}

function writeBytes(source: Uint8Array, { view, length }: FieldSink, from: number, to: number): void {
  for (let index = from, at = length; index < to; index += 1, at += 5) {
    view.setInt32(at, 1);
    view.setUint8(at + 4, source[index] as number);
  }
}

/** The lower half of an int32: the file's type has no 16 bits. */
function writeInt16(source: DataView, { view, length }: FieldSink, from: number, to: number): void {
  for (let index = from, at = length; index < to; index += 1, at += 6) {
    view.setInt32(at, 2);
    view.setUint16(at + 4, source.getUint16(index * 4, true));
  }
}

function writeInt32(
  source: DataView,
  { view, length }: FieldSink,
  from: number,
  to: number,
  epoch: number,
): void {
  for (let index = from, at = length; index < to; index += 1, at += 8) {
    view.setInt32(at, 4);
    view.setInt32(at + 4, source.getInt32(index * 4, true) - epoch);
  }
}

function writeInt64(source: DataView, { view, length }: FieldSink, from: number, to: number): void {
  for (let index = from, at = length; index < to; index += 1, at += 12) {
    view.setInt32(at, 8);
    view.setUint32(at + 4, source.getUint32(index * 8 + 4, true));
    view.setUint32(at + 8, source.getUint32(index * 8, true));
  }
}

function writeInstants(source: DataView, { view, length }: FieldSink, from: number, to: number): void {
  for (let index = from, at = length; index < to; index += 1, at += 12) {
    const low = source.getUint32(index * 8, true);
    const borrow = low < EPOCH_LOW ? 1 : 0;
    view.setInt32(at, 8);
    view.setInt32(at + 4, source.getInt32(index * 8 + 4, true) - EPOCH_HIGH - borrow);
    view.setInt32(at + 8, low - EPOCH_LOW);
  }
}

function writeUuids(source: DataView, { view, length }: FieldSink, from: number, to: number): void {
  for (let index = from, at = length; index < to; index += 1, at += 20) {
    view.setInt32(at, 16);
    for (let offset = 0; offset < 16; offset += 4) {
      view.setUint32(at + 4 + offset, source.getUint32(index * 16 + offset));
    }
  }
}

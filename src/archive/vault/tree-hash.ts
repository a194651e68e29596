/**
 * The SHA-256 tree hash of S3 Glacier: SHA-256 of each MiB, then of each two of those in their order, until one is left;
 * an odd one goes up as it is. Source: S3 Glacier developer guide, "Computing checksums". Pieces may be of any size.
 */
import { createHash, type Hash } from "node:crypto";

export const LEAF_BYTES = 1 << 20;

export class TreeHash {
  readonly #leaves: Buffer[] = [];
  #leaf: Hash = createHash("sha256");
  #filled = 0;

  update(piece: Uint8Array): this {
    for (let at = 0; at < piece.byteLength;) {
      const end = Math.min(piece.byteLength, at + LEAF_BYTES - this.#filled);
      this.#leaf.update(piece.subarray(at, end));
      this.#filled += end - at;
      at = end;
      if (this.#filled === LEAF_BYTES) this.#endLeaf();
    }
    return this;
  }

  /** Lower-case hex; of no bytes that of an empty leaf. Once. */
  digest(): string {
    if (this.#filled > 0 || this.#leaves.length === 0) this.#endLeaf();
    let level = this.#leaves;
    while (level.length > 1) {
      level = Array.from({ length: Math.ceil(level.length / 2) }, (_, at) => {
        const [left, right] = [level[2 * at] as Buffer, level[2 * at + 1]];
        return right === undefined ? left : createHash("sha256").update(left).update(right).digest();
      });
    }
    return (level[0] as Buffer).toString("hex");
  }

  #endLeaf(): void {
    this.#leaves.push(this.#leaf.digest());
    this.#leaf = createHash("sha256");
    this.#filled = 0;
  }
}

export function treeHashOf(bytes: Uint8Array): string {
  return new TreeHash().update(bytes).digest();
}

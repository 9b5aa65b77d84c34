/** Which examples have been seen, in little memory. */
import { createHash } from 'node:crypto';
import type { Example } from './batch.ts';

const FIRST_SLOTS = 1024;

/**
 * A set of examples by 64 bits of a hash of their token ids and loss mask: open addressing, at most half full, so that an example takes 16 to 32 bytes
 * — far less than its own tokens, which are in memory while it is trained on. Two different examples share a digest with probability n² / 2⁶⁵:
 * 3 in 10⁸ for a million examples.
 */
export class DigestSet {
  /** [slots × 2]; a pair of zeros is free, which no digest is taken to be. */
  #slots = new Uint32Array(2 * FIRST_SLOTS);
  #size = 0;

  /** @returns whether it was new */
  add(example: Example): boolean {
    if (2 * this.#size >= this.#slots.length / 2) this.#grow();
    return this.#insert(...digest(example));
  }

  has(example: Example): boolean {
    const [high, low] = digest(example);
    const slot = this.#find(high, low);
    return this.#slots[slot] === high && this.#slots[slot + 1] === low;
  }

  #insert(high: number, low: number): boolean {
    const slot = this.#find(high, low);
    if (this.#slots[slot] === high && this.#slots[slot + 1] === low) return false;
    this.#slots[slot] = high;
    this.#slots[slot + 1] = low;
    this.#size += 1;
    return true;
  }

  /** @returns where it is, or the free slot where it belongs */
  #find(high: number, low: number): number {
    const slots = this.#slots;
    for (let slot = (2 * low) % slots.length; ; slot = (slot + 2) % slots.length) {
      const free = slots[slot] === 0 && slots[slot + 1] === 0;
      if (free || (slots[slot] === high && slots[slot + 1] === low)) return slot;
    }
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(2 * before.length);
    this.#size = 0;
    for (let slot = 0; slot < before.length; slot += 2) {
      const [high, low] = [before[slot]!, before[slot + 1]!];
      if (high !== 0 || low !== 0) this.#insert(high, low);
    }
  }
}

function digest({ inputIds, lossMask }: Example): [high: number, low: number] {
  const bytes = createHash('sha256').update(inputIds).update(lossMask).digest();
  return [bytes.readUInt32LE(0) || 1, bytes.readUInt32LE(4)];
}

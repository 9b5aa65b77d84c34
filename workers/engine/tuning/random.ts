/** Random numbers as a function of a seed and a name: the same on every machine and in any order. */

const GOLDEN_RATIO = 0x9e3779b9;

/** The 32-bit finalizer of MurmurHash3 (Appleby 2011): every input bit moves every output bit. */
function mix32(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Hashes several numbers, in order, to 32 bits. Numbers of more than 32 bits count with all their bits. */
export function hashWords(...words: number[]): number {
  let state = 0;
  for (const word of words) {
    state = mix32(state ^ (word >>> 0));
    state = mix32(state + GOLDEN_RATIO + Math.floor(word / 2 ** 32));
  }
  return state;
}

export function hashName(name: string): number {
  let state = name.length;
  for (let i = 0; i < name.length; i++) state = mix32(state ^ name.charCodeAt(i)) + GOLDEN_RATIO;
  return state >>> 0;
}

/**
 * Number i is 24 bits of a hash of seed, name and i.
 * @returns `length` numbers, uniform in [−bound, bound)
 */
export function uniform(length: number, { bound, seed, name }: { bound: number; seed: number; name: string }): Float32Array {
  const first = hashWords(seed, hashName(name));
  const second = hashWords(seed, hashName(name), 1);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const bits = mix32(mix32(i + first) + Math.imul(i, GOLDEN_RATIO) + second) >>> 8;
    values[i] = bound * (bits / 2 ** 23 - 1);
  }
  return values;
}

/** @returns `length` numbers of the standard normal distribution (Box & Muller 1958) */
export function normal(length: number, { seed, name }: { seed: number; name: string }): Float32Array {
  const radii = uniform(length, { bound: 1, seed, name: `${name}/radius` });
  const angles = uniform(length, { bound: Math.PI, seed, name: `${name}/angle` });
  // (u + 1) / 2 is in [0, 1); its distance from 1 is never 0.
  return radii.map((u, index) => Math.sqrt(-2 * Math.log(1 - (u + 1) / 2)) * Math.cos(angles[index]!));
}

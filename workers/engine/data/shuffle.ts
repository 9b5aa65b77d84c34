/**
 * The order in which an epoch visits the examples, by Fisher–Yates over SplitMix32: a pure function of seed and epoch, so a resumed run needs no
 * generator state.
 * @param epoch from 0
 * @returns a permutation of 0 … count − 1
 */
export function epochOrder(count: number, { seed, epoch }: { seed: number; epoch: number }): Uint32Array {
  const random = splitMix32((Math.imul(seed, 0x9e3779b1) ^ Math.imul(epoch + 1, 0x85ebca6b)) >>> 0);
  const order = new Uint32Array(count);
  for (let index = 0; index < count; index++) order[index] = index;
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}

/** @returns numbers in [0, 1), 32 bits each */
export function splitMix32(state: number): () => number {
  let counter = state >>> 0;
  return () => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let z = counter;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** What a GGUF file says of its model: the keys of its architecture, and which tensors there are. */

import { shapeSize } from '../../../src/formats/shape-size.ts';
import type { GgufFile } from './read-file.ts';

type Getter<T> = (name: string) => T | null;

export interface ModelKeys {
  natural: Getter<number>;
  number: Getter<number>;
  text: Getter<string>;
  flag: Getter<boolean>;
  /** @throws Refusal without the key */
  required<T>(get: Getter<T>, name: string): T;
  optional<T, D>(get: Getter<T>, name: string, fallback: D): T | D;
  /** Full keys of the architecture. */
  own: string[];
  /** By a full key. @returns null for a list */
  scalar(key: string): unknown;
  /** Whether there is a tensor. */
  has(tensor: string): boolean;
  /** A small tensor's values; null without it. */
  values(tensor: string): Float32Array | null;
  /** Rows of the embedding. */
  vocabSize: number;
  headSize: number;
  wrong(what: string): Error;
}

/** Of the vectors that are read as settings: no head has more elements. */
const MAX_VALUES = 1 << 16;

/** @param architecture `general.architecture`, with which the keys begin */
export function keysOf({ metadata, tensors, read }: GgufFile, architecture: string): ModelKeys {
  const full = (name: string) => `${architecture}.${name}`;
  const embedding = tensors.get('token_embd.weight');
  if (embedding === undefined || embedding.shape.length !== 2) throw metadata.wrong('it has no matrix token_embd.weight');
  const natural = (name: string) => metadata.natural(full(name));
  const required = <T>(get: Getter<T>, name: string): T => metadata.required(full(name), get(name));
  const heads = required(natural, 'attention.head_count');
  return {
    natural,
    number: (name) => metadata.number(full(name)),
    text: (name) => metadata.text(full(name)),
    flag: (name) => metadata.flag(full(name)),
    required,
    optional: (get, name, fallback) => get(name) ?? fallback,
    own: [...metadata.keys()].filter((key) => key.startsWith(full(''))),
    scalar: (key) => metadata.scalar(key),
    has: (tensor) => tensors.has(tensor),
    values(tensor) {
      const found = tensors.get(tensor);
      if (found === undefined) return null;
      const size = shapeSize(found.shape);
      if (size > MAX_VALUES) throw metadata.wrong(`${tensor} is [${found.shape}], and no head has so many elements`);
      return read(tensor);
    },
    vocabSize: embedding.shape[0]!,
    headSize: natural('attention.key_length') ?? Math.floor(required(natural, 'embedding_length') / heads),
    wrong: metadata.wrong,
  };
}

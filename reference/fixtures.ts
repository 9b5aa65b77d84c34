/** The reference fixtures: tiny random models, and the values that transformers and PEFT computed for them. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Batch } from '../workers/engine/data/batch.ts';
import { readSafetensors } from '../workers/engine/io/safetensors.ts';

const root = fileURLToPath(new URL('../test/fixtures/reference/', import.meta.url));

export const referenceCases = ['llama-gqa-tied', 'llama-untied-v4'] as const;
export const referenceAdapters = ['all-linear', 'attention-rslora'] as const;

export interface ExpectedLoss {
  loss: number;
  supervisedTokens: number;
  correctTokens: number;
  parameters: number;
  adapterParameters: number;
}

export const referencePath = (...parts: string[]): string => [root.replace(/\/$/, ''), ...parts].join('/');
export const readReference = <T>(...parts: string[]): T => JSON.parse(readFileSync(referencePath(...parts), 'utf8')) as T;

interface StoredBatch {
  rows: number;
  length: number;
  inputIds: number[];
  /** 0 at padding, else 1. */
  attentionMask: number[];
  /** 1 where a token is a target. */
  lossMask: number[];
}

export function referenceBatch(name: string, kind = 'cases'): Batch {
  const { rows, length, inputIds, lossMask } = readReference<StoredBatch>(kind, name, 'batch.json');
  return { rows, length, inputIds: Int32Array.from(inputIds), lossWeights: Float32Array.from(lossMask) };
}

/** @returns the number of tokens in each row of the batch */
export function referenceRowTokens(name: string, kind = 'cases'): number[] {
  const { rows, length, attentionMask } = readReference<StoredBatch>(kind, name, 'batch.json');
  return Array.from({ length: rows }, (_, row) => attentionMask.slice(row * length, (row + 1) * length).reduce((sum, real) => sum + real, 0));
}

/** Tensors of a fixture, by name. */
export const referenceTensors = (...parts: string[]): Map<string, Float32Array> =>
  new Map([...readSafetensors(referencePath(...parts))].map(([name, { data }]) => [name, data as Float32Array]));

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = difference; // NaN wins
  }
  return largest;
}

export const largest = (values: ArrayLike<number>): number => largestDifference(values, new Float32Array(values.length));

/** ‖(a − start) − (b − start)‖ ÷ ‖b − start‖: the difference between two changes from the same start, relative to the second one. */
export function relativeWalk(a: ArrayLike<number>, b: ArrayLike<number>, start: ArrayLike<number>): number {
  let apart = 0;
  let walked = 0;
  for (let i = 0; i < a.length; i++) {
    apart += (a[i]! - b[i]!) ** 2;
    walked += (b[i]! - start[i]!) ** 2;
  }
  return Math.sqrt(apart / walked);
}

/** Whether a model and what is trained of it fit into memory, before anything is loaded. */
import { type EstimatedRun, estimateMemory, type MemoryEstimate } from './memory-estimate.ts';
import { Refusal } from './refusal.ts';
import { resolveTuning } from './tuning/tuning.ts';

/** What is held from the first step to the last, which follows from shapes, as a message names it. Passes need more, but how much is not certain. */
const HELD = {
  weights_bytes: 'the weights',
  adapter_bytes: 'the adapter',
  gradients_bytes: 'gradients',
  optimizer_bytes: "the optimizer's moments",
} as const satisfies Partial<Record<keyof MemoryEstimate, string>>;

type Held = Omit<EstimatedRun, 'pass'>;

/**
 * @param freeBytes what the training process may still take
 * @throws Refusal `out_of_memory` that names the parts, and what of the job would have to be another for them to fit
 */
export function requireMemory(run: Held, freeBytes: number): void {
  const parts = heldParts(run);
  const needed = sumOf(parts);
  if (needed <= freeBytes) return;
  const largest = parts.toSorted(([, a], [, b]) => b - a).map(([name, bytes]) => `${name} ${gigabytes(bytes)}`);
  throw new Refusal(
    'out_of_memory',
    `The job needs ${gigabytes(needed)} of memory between its steps alone, and ${gigabytes(freeBytes)} are free: ${largest.join(', ')}`,
    { param: 'model', hint: hintFor(run, freeBytes) },
  );
}

function hintFor(run: Held, freeBytes: number): string {
  const lora = { ...run, tuning: resolveTuning({ type: 'lora' }) };
  const changes = [
    { change: '`precision` bf16', other: { ...run, precision: 'bf16' } },
    { change: 'LoRA', other: lora },
    { change: 'LoRA and `precision` bf16', other: { ...lora, precision: 'bf16' } },
    { change: 'LoRA, `precision` bf16 and `quantization` nf4', other: { ...lora, precision: 'bf16', quantization: 'nf4' } },
  ] as const satisfies { change: string; other: Held }[];
  const fitting = changes.map(({ change, other }) => ({ change, bytes: sumOf(heldParts(other)) })).find(({ bytes }) => bytes <= freeBytes);
  const more = 'use a smaller model, or a worker with more memory';
  return fitting === undefined
    ? `${more[0]!.toUpperCase()}${more.slice(1)}.`
    : `With ${fitting.change} it needs ${gigabytes(fitting.bytes)}; or ${more}.`;
}

type PartOfMemory = [name: string, bytes: number];

function heldParts(run: Held): PartOfMemory[] {
  const estimate = estimateMemory({ ...run, pass: { tokens: 0, supervisedTokens: 0 } });
  return Object.entries(HELD).flatMap(([part, name]): PartOfMemory[] => {
    const bytes = estimate[part as keyof typeof HELD];
    return bytes === 0 ? [] : [[name, bytes]];
  });
}

const sumOf = (parts: readonly PartOfMemory[]): number => parts.reduce((sum, [, bytes]) => sum + bytes, 0);
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;

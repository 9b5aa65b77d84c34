/**
 * `node --import tsx bench/qlora-round.ts --model DIR --training FILE --validation FILE --quantization none|nf4|int8 --epochs 2`: one run of bench/qlora.ts,
 * in a process of its own, because peak memory never falls. Prints one JSON line.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { metricsOn } from '../reference/peft-case.ts';
import { openForInference } from '../workers/engine/compiled/open-model.ts';
import { train } from '../workers/engine/train.ts';
import { median, peakMemoryMb } from './measures.ts';
import { quantizationOf } from './smollm.ts';

export interface QloraRun {
  steps: number;
  /** Validation losses, in nats. */
  before: number;
  after: number;
  peakMemoryMb: number;
  stepSeconds: number;
}

const text = { type: 'string', default: '' } as const;
const { values: options } = parseArgs({ options: { model: text, training: text, validation: text, quantization: text, epochs: text } });
const { model: modelDir, training: trainingFile, validation: validationFile } = options;
const quantization = quantizationOf(options.quantization);
const outputDir = mkdtempSync(join(tmpdir(), 'graft-qlora-round-'));
try {
  const base = openForInference({ modelDir, precision: 'bf16', quantization });
  const before = await metricsOn(base, { modelDir, file: validationFile }).finally(() => base.dispose());
  const endedMs: number[] = [];
  const { last } = await train({
    modelDir,
    trainingFile,
    validationFile,
    outputDir,
    tuning: { type: 'lora', r: 16 },
    hyperparameters: {
      n_epochs: Number(options.epochs),
      batch_size: 8,
      learning_rate: 5e-4,
      lr_scheduler_type: 'cosine',
      precision: 'bf16',
      ...(quantization && { quantization }),
    },
    seed: 1,
    report: { step: () => void endedMs.push(performance.now()) },
  });
  const seconds = endedMs.slice(1).map((ended, index) => (ended - endedMs[index]!) / 1000);
  const run: QloraRun = {
    steps: last.step,
    before: before.loss,
    after: last.metrics['full_valid_loss']!,
    peakMemoryMb: peakMemoryMb(),
    stepSeconds: median(seconds),
  };
  console.log(JSON.stringify(run));
} finally {
  rmSync(outputDir, { recursive: true });
}

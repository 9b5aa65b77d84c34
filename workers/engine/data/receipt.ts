/** A job's token receipt, of what its files' tallies say. */
import type { TokenReceipt } from '../../../src/formats/token-receipt.ts';
import type { DatasetOptions, ReadDataset } from './dataset.ts';
import { exampleDigest } from './example-digest.ts';
import type { ChatTemplate } from './template/chat-template.ts';

interface Files {
  training: ReadDataset;
  validation: ReadDataset | null;
}

interface How extends Pick<DatasetOptions, 'maxLengthTokens' | 'truncation'> {
  template: ChatTemplate | null;
  today: Date;
}

export function tokenReceipt({ training, validation }: Files, { maxLengthTokens, truncation, template, today }: How): TokenReceipt {
  return {
    object: 'fine_tuning.job.receipt',
    max_length: maxLengthTokens,
    truncation,
    template: template && { sha256: template.sha256, marks_generation: template.marksGeneration, date: today.toISOString() },
    training: training.receipt,
    validation: validation?.receipt ?? null,
    overlap: validation?.examples.filter((example) => training.seen.has(exampleDigest(example))).length ?? null,
  };
}

/** Whole sentences, none when there is nothing to warn of. */
export function overlapWarning({ overlap, validation }: TokenReceipt): string[] {
  if (overlap === null || validation === null || overlap === 0) return [];
  return [
    `${overlap} of ${validation.examples} examples in the validation file are in the training file too; their loss says little about new ones.`,
  ];
}

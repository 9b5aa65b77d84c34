/** A job's token receipt, from the tallies of its files. */
import { jsonText } from '../../../src/formats/json-text.ts';
import type { TokenReceipt } from '../../../src/formats/token-receipt.ts';
import type { DatasetOptions, ReadDataset } from './dataset.ts';
import { countShared } from './digests.ts';
import type { ChatTemplate } from './template/chat-template.ts';
import type { UsedTemplate } from './template/compiled.ts';

interface Files {
  training: ReadDataset;
  validation: ReadDataset | null;
}

interface ReceiptOptions extends Pick<DatasetOptions, 'maxLengthTokens' | 'truncation'> {
  template: ChatTemplate | null;
  today: Date;
}

export function tokenReceipt({ training, validation }: Files, { maxLengthTokens, truncation, template, today }: ReceiptOptions): TokenReceipt {
  return {
    object: 'fine_tuning.job.receipt',
    max_length: maxLengthTokens,
    truncation,
    template: template && describeTemplate(template, today),
    training: training.receipt,
    validation: validation?.receipt ?? null,
    overlap: validation && countShared(validation.examples.digests(), training.examples.digests()),
  };
}

function describeTemplate(template: ChatTemplate, today: Date): TokenReceipt['template'] {
  const described = ({ name, sha256, marksGeneration }: UsedTemplate) => ({ name, sha256, marks_generation: marksGeneration });
  return {
    ...described(template.main),
    own: template.isOwn,
    with_tools: template.toolUse && described(template.toolUse),
    chat_template_kwargs: JSON.parse(jsonText(template.kwargs)) as unknown,
    date: today.toISOString(),
  };
}

/** @returns the warning as a whole sentence, or nothing */
export function overlapWarning({ overlap, validation }: TokenReceipt): string[] {
  if (overlap === null || validation === null || overlap === 0) return [];
  return [
    `${overlap} of ${validation.examples} examples in the validation file are also in the training file; their loss says little about unseen examples.`,
  ];
}

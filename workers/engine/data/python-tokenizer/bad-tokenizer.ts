import { Refusal } from '../../../../src/formats/refusal.ts';

/** A tokenizer's directory that Python refuses too. */
export const badTokenizer = (message: string, hint: string | null = null): Refusal =>
  new Refusal('corrupt_model_file', message, { param: 'model', hint });

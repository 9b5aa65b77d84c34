/** How well a model predicts the assistant's messages of a dataset. */

import { openForInference } from '../../workers/engine/compiled/open-model.ts';
import { readDataset } from '../../workers/engine/data/dataset.ts';
import { ChatTemplate } from '../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../workers/engine/data/tokenizer.ts';
import { evaluate } from '../../workers/engine/evaluate.ts';
import { CONFIG } from './architecture.ts';

export interface HeldOut {
  /** exp of the cross-entropy per supervised token. */
  perplexity: number;
  /** Share of supervised tokens that are predicted correctly. */
  accuracy: number;
  examples: number;
  supervisedTokens: number;
}

/** @param file JSONL, one conversation per line */
export async function perplexity(modelDir: string, file: string): Promise<HeldOut> {
  const tokenizer = await Tokenizer.open(modelDir);
  const { examples, facts } = await readDataset(file, {
    tokenizer,
    // The template names no date.
    template: await ChatTemplate.open(tokenizer, new Date(0)),
    vocabSize: CONFIG.vocab_size,
    maxLengthTokens: CONFIG.max_position_embeddings,
    truncation: 'error',
    param: 'validation_file',
  });
  const model = openForInference({ modelDir });
  try {
    const { loss, mean_token_accuracy: accuracy } = await evaluate(model, examples);
    return { perplexity: Math.exp(loss), accuracy: accuracy!, examples: facts.examples, supervisedTokens: facts.supervisedTokens };
  } finally {
    model.dispose();
    examples.close();
  }
}

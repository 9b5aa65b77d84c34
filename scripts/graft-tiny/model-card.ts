import type { TrainResult } from '../../workers/engine/contract.ts';
import { CONFIG } from './architecture.ts';
import type { HeldOut } from './perplexity.ts';

export interface CardFacts {
  heldOut: HeldOut;
  result: TrainResult;
  seed: number;
  batchSize: number;
  learningRate: number;
}

/** The README.md of the model's directory, with Hugging Face's metadata on top. */
export function modelCard({ heldOut, result, seed, batchSize, learningRate }: CardFacts): string {
  return `---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---
# graft-tiny

A chat model of 2.8 million parameters that knows a small closed world: animals, food, things, jobs, countries, opposites, days, small sums.
It exists so that a fine-tuning job can be tried, and tested, in a minute on a laptop.

| | |
| --- | --- |
| architecture | Llama: ${CONFIG.num_hidden_layers} layers, hidden size ${CONFIG.hidden_size}, ${CONFIG.num_attention_heads} query heads over ${CONFIG.num_key_value_heads} key-value heads, tied head |
| vocabulary | ${CONFIG.vocab_size} byte-level BPE tokens, a template like ChatML's that marks the answers with \`{% generation %}\` |
| context | ${CONFIG.max_position_embeddings} tokens |
| files | bf16 safetensors |
| held-out perplexity | **${heldOut.perplexity.toFixed(4)}** per assistant token (${heldOut.supervisedTokens} tokens of ${heldOut.examples} conversations), token accuracy ${(100 * heldOut.accuracy).toFixed(2)} % |

Perplexity was measured on the shipped bf16 files. "Held out" means that every question of those conversations is worded as in no training
conversation; the facts themselves are in the training conversations, in other words.

## How it was made

\`\`\`
GRAFT_PYTHON=python3 node --import tsx scripts/graft-tiny/make.ts
\`\`\`

Seed ${seed}. The text comes from a seeded generator (\`scripts/graft-tiny/conversations.ts\`); no other text was used. The tokenizer was trained on it with
tokenizers 0.23.3. The weights began as random numbers and were trained by Graft's own full fine-tuning on two processor cores: ${result.steps} steps of
${batchSize} conversations, ${result.trainedTokens} tokens in all, in one pass; AdamW, peak learning rate ${learningRate}, cosine; loss on the assistant's tokens only.

## Limits

It knows nothing outside that world and does not say so: asked about anything else it answers with something from it. Its facts are simplified (one colour
for each animal), its sums stop at 20, and it follows no instructions beyond the kinds in its text.
`;
}

import type { ModelConfig } from '../../../src/formats/model-config.ts';

/**
 * @param config as config.json says it
 * @param used   as the weights are read
 * @returns what the user should know about the model, in whole sentences
 */
export function modelWarnings({ dropout, ignored, modelType, tiedHead }: ModelConfig, used: ModelConfig): string[] {
  const warnings: string[] = [];
  if (dropout.length > 0) warnings.push(`The model's config.json sets dropout (${dropout.join(', ')}), which is not applied in fine-tuning`);
  if (ignored.length > 0)
    warnings.push(`The model's config.json sets ${ignored.join(', ')}, which transformers ignores in a ${modelType} model, and so does Graft`);
  if (tiedHead && !used.tiedHead)
    warnings.push(
      "The model's config.json says that its head is tied to its embedding (tie_word_embeddings), but its weights hold a different head, which is used, as in transformers",
    );
  return warnings;
}

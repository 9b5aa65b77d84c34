/**
 * Multimodal models: their language model, which `text_config` describes, is read as a family of its own. A text has no images, so the other towers
 * take no part.
 */
import type { ConfigFields } from '../config-fields.ts';
import { MATHS_FIELDS } from '../maths-fields.ts';
import type { ModelConfig } from '../model-config.ts';
import type { ModuleNames } from '../module-names.ts';
import { isRecord } from '../record.ts';
import { commonParts, type Family } from './family.ts';
import { gemma3 } from './gemma.ts';
import { gemma4 } from './gemma4.ts';
import { ministral3, mistral } from './llama.ts';
import { qwen3VlText } from './qwen3-vl.ts';
import { qwen35 } from './qwen35.ts';

interface Whole {
  /** Families of the language model, by its `model_type`. */
  texts: Readonly<Record<string, Family>>;
  /** That of a file which does not say. */
  textType: string;
  /** transformers' defaults of fields that the language model's own files always have. */
  sizes?: Readonly<Record<string, number>>;
  /** transformers' default of the outer `tie_word_embeddings`; the inner one has no effect. */
  tiedHead: boolean;
  otherTowers: readonly string[];
}

const inside = (name: string): string => name.replace(/^model\./, 'model.language_model.');

/** Those inside blocks are relative. */
const insideOuter = (names: NonNullable<ModuleNames['perLayerInputs']>): typeof names => ({
  ...names,
  embedding: inside(names.embedding),
  projection: inside(names.projection),
  projectionNorm: inside(names.projectionNorm),
});

/** @returns the names in the whole model. Those of blocks are relative, and the head stands outside of the language model */
const wholeNames = (names: ModuleNames): ModuleNames => ({
  ...names,
  embedding: inside(names.embedding),
  blocks: inside(names.blocks),
  finalNorm: inside(names.finalNorm),
  ...(names.perLayerInputs && { perLayerInputs: insideOuter(names.perLayerInputs) }),
});

const multimodal =
  ({ texts, textType, sizes = {}, tiedHead, otherTowers }: Whole): Family =>
  (fields) => {
    const text = textFields(fields, { textType, sizes });
    const family = text.choice('model_type', texts, textType);
    const config: ModelConfig = family(text);
    text.refuseUnread(MATHS_FIELDS);
    const outer = commonParts(fields);
    return {
      ...config,
      modelType: fields.value('model_type') as string,
      // As for transformers' defaults of `generate`: the outer ones first.
      bosTokenId: outer.bosTokenId ?? config.bosTokenId,
      eosTokenIds: outer.eosTokenIds.length > 0 ? outer.eosTokenIds : config.eosTokenIds,
      padTokenId: outer.padTokenId ?? config.padTokenId,
      tiedHead: fields.flag('tie_word_embeddings', tiedHead),
      names: wholeNames(config.names),
      otherTowers,
    };
  };

function textFields(fields: ConfigFields, { textType, sizes }: Required<Pick<Whole, 'textType' | 'sizes'>>): ConfigFields {
  const text = fields.value('text_config');
  if (!isRecord(text)) fields.invalid('text_config', text, 'an object');
  return fields.derived('text_config.', { model_type: textType, ...sizes, ...(isRecord(text) && text) });
}

/** Weights of LLaVA's descendants, with and without the `model.` that transformers 4.52 put before them. */
const LLAVA_TOWERS = ['vision_tower.', 'multi_modal_projector.', 'model.vision_tower.', 'model.multi_modal_projector.'];

/** Gemma 3 that sees: 4B and larger. */
export const gemma3Whole: Family = multimodal({
  texts: { gemma3_text: gemma3 },
  textType: 'gemma3_text',
  // Published files leave out what equals a default.
  sizes: { vocab_size: 262_208, hidden_size: 2304, intermediate_size: 9216, num_hidden_layers: 26, num_attention_heads: 8 },
  tiedHead: true,
  otherTowers: LLAVA_TOWERS,
});

/** Gemma 4 that sees, and hears in its small sizes. */
export const gemma4Whole: Family = multimodal({
  texts: { gemma4_text: gemma4 },
  textType: 'gemma4_text',
  sizes: { vocab_size: 262_144, hidden_size: 2304, intermediate_size: 9216, num_hidden_layers: 30, num_attention_heads: 8 },
  tiedHead: true,
  otherTowers: ['model.vision_tower.', 'model.embed_vision.', 'model.audio_tower.', 'model.embed_audio.'],
});

/** Mistral Small 3.1 and later, and Ministral 3. */
export const mistral3: Family = multimodal({
  texts: { mistral, ministral3 },
  textType: 'mistral',
  tiedHead: true,
  otherTowers: LLAVA_TOWERS,
});

export const qwen3VlWhole: Family = multimodal({
  texts: { qwen3_vl_text: qwen3VlText },
  textType: 'qwen3_vl_text',
  sizes: { vocab_size: 151_936, hidden_size: 4096, intermediate_size: 22_016, num_hidden_layers: 32, num_attention_heads: 32 },
  tiedHead: false,
  otherTowers: ['model.visual.'],
});

/** `mtp` predicts further tokens; transformers does not read it either. */
export const qwen35Whole: Family = multimodal({
  texts: { qwen3_5_text: qwen35 },
  textType: 'qwen3_5_text',
  sizes: { vocab_size: 248_320, hidden_size: 4096, intermediate_size: 12_288, num_hidden_layers: 32, num_attention_heads: 16 },
  tiedHead: false,
  otherTowers: ['model.visual.', 'mtp.'],
});

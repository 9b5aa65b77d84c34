/** Which class `AutoTokenizer` takes for a directory. The classes differ in what they read of `tokenizer.json` and what they build anew. */
import { isRecord } from '../../../../src/formats/record.ts';
import { badTokenizer } from './bad-tokenizer.ts';
import type { TokenizerFiles } from './tokenizer-files.ts';

/** Takes all of `tokenizer.json`. Python's `PreTrainedTokenizerFast` is an alias. */
export const AS_SERIALIZED = 'TokenizersBackend';

const REBUILT = [
  'LlamaTokenizer',
  'CodeLlamaTokenizer',
  'GemmaTokenizer',
  'Qwen2Tokenizer',
  'Qwen3_5Tokenizer',
  'GPT2Tokenizer',
  'GPTNeoXTokenizer',
] as const;

export type RebuiltClass = (typeof REBUILT)[number];
export type TokenizerClass = RebuiltClass | typeof AS_SERIALIZED;

/** `TOKENIZER_MAPPING_NAMES` for the families here. Llama and SmolLM 3 have no entry there, so they trust the directory. */
const OF_MODEL: Readonly<Record<string, TokenizerClass>> = {
  ...{ gpt2: 'GPT2Tokenizer', gpt_neox: 'GPTNeoXTokenizer', qwen2: 'Qwen2Tokenizer', qwen3: 'Qwen2Tokenizer' },
  ...{ gemma: 'GemmaTokenizer', gemma2: 'GemmaTokenizer', gemma3: 'GemmaTokenizer', gemma3_text: 'GemmaTokenizer' },
  ...{ qwen3_5: 'Qwen3_5Tokenizer', qwen3_5_text: 'Qwen3_5Tokenizer', qwen3_vl: 'Qwen2Tokenizer' },
  ...{ mistral: AS_SERIALIZED, mistral3: AS_SERIALIZED, ministral: AS_SERIALIZED, ministral3: AS_SERIALIZED, phi3: AS_SERIALIZED },
  ...{ olmo2: AS_SERIALIZED, olmo3: AS_SERIALIZED, glm4: AS_SERIALIZED },
  ...{ granite: AS_SERIALIZED, granitemoe: AS_SERIALIZED, granitemoeshared: AS_SERIALIZED, granitemoehybrid: AS_SERIALIZED },
};

/** `MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS`: what their directories say is not believed. */
const DISTRUSTED = new Set(['phi3', 'qwen2', 'qwen3_5']);

/** Other classes of transformers 5.23, which build a tokenizer that is not built here. A name that transformers does not know means AS_SERIALIZED. */
const OTHERS = new Set(
  [
    'Albert Bart Barthez Bartpho BertGeneration BertJapanese Bert Bertweet BigBird BioGpt BlenderbotSmall Blenderbot ByT5 CLIP CTRL Camembert Canine',
    'Clvp CodeGen Cohere ConvBert CpmAnt Cpm DPRContextEncoder DPRQuestionEncoder DPRReader Deberta DebertaV2 Dia DistilBert Electra Esm Esmc FNet FSMT',
    'FastSpeech2Conformer Flaubert Funnel GPTNeoXJapanese GPTSw3 Herbert LED Lasr LayoutLM LayoutLMv2 LayoutLMv3 LayoutXLM Longformer Luke Lxmert M2M100 MBart50 MBart MLuke MPNet',
    'Marian MarkupLM Mgpstr MobileBert Mvp MyT5 Nllb Nougat OpenAIGPT PLBart Parakeet Pegasus Perceiver Phobert Pop2Piano ProphetNet Reformer RemBert RoCBert',
    'RoFormer Roberta SeamlessM4T Siglip2 Siglip Speech2Text SpeechT5 Splinter SqueezeBert T5 Tapas Tipsv2 Udop VideoPrism Vits Wav2Vec2CTC',
    'Wav2Vec2PhonemeCTC Whisper XGLM XLMRoberta XLM XLNet',
  ].flatMap((line) => line.split(' ').map((name) => `${name}Tokenizer`)),
);

/** Names without a class of their own. */
const ALIASES: Readonly<Record<string, RebuiltClass>> = { Phi3Tokenizer: 'LlamaTokenizer' };

/**
 * The rules of `AutoTokenizer.from_pretrained`, in its order.
 * @throws Refusal for a class with code of its own, and for one that is not built here
 */
export function tokenizerClass({ model, config, serialized }: TokenizerFiles): TokenizerClass {
  const modelType = String(model['model_type'] ?? '');
  const ofModel = OF_MODEL[modelType];
  const inConfig = className(config['tokenizer_class']);
  const declared = inConfig ?? className(model['tokenizer_class']);
  const distrusted = DISTRUSTED.has(modelType);
  const custom = hasCustomCode(config['auto_map']);

  if (!custom && declared !== null) {
    // LlamaTokenizer would split a byte-level vocabulary by ▁.
    if (declared === 'LlamaTokenizer' && !distrusted && serialized?.text.includes('"ByteLevel"')) return AS_SERIALIZED;
    if (ofModel !== undefined && ofModel !== declared) {
      if (ofModel === AS_SERIALIZED) return AS_SERIALIZED;
      return distrusted ? ofModel : known(declared);
    }
  }
  if (custom && !distrusted && ofModel === undefined && (inConfig === null || !isPythons(inConfig)))
    throw badTokenizer(
      `tokenizer_config.json names a tokenizer with code of its own: auto_map is ${JSON.stringify(config['auto_map'])}`,
      'Graft runs no code of a model. Save the tokenizer with a class of transformers, or remove auto_map if tokenizer.json alone is right.',
    );
  return declared === null ? (ofModel ?? AS_SERIALIZED) : known(declared);
}

/** @returns without `Fast`, which has meant nothing since transformers 5 */
const className = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value.replace(/Fast$/, '') : null);

const isRebuilt = (name: string): name is RebuiltClass => (REBUILT as readonly string[]).includes(name);

const isPythons = (name: string): boolean =>
  isRebuilt(name) || Object.hasOwn(ALIASES, name) || OTHERS.has(name) || [AS_SERIALIZED, 'PreTrainedTokenizer', 'BloomTokenizer'].includes(name);

function known(name: string): TokenizerClass {
  if (isRebuilt(name)) return name;
  const alias = Object.hasOwn(ALIASES, name) ? ALIASES[name] : undefined; // `toString` is no class
  if (alias !== undefined) return alias;
  if (!OTHERS.has(name)) return AS_SERIALIZED;
  throw badTokenizer(
    `the tokenizer's class is ${name}, which Graft does not build`,
    `Classes that it builds: ${REBUILT.join(', ')}. If tokenizer.json is right as it is, write "tokenizer_class": "PreTrainedTokenizerFast" in tokenizer_config.json.`,
  );
}

/** A list is the form of old directories. */
const hasCustomCode = (autoMap: unknown): boolean => Array.isArray(autoMap) || (isRecord(autoMap) && Boolean(autoMap['AutoTokenizer']));

import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { type Example, supervisedTokens } from '../data/batch.ts';
import { readDataset } from '../data/dataset.ts';
import { firstExamples } from '../data/example-store.ts';
import { ChatTemplate } from '../data/template/chat-template.ts';
import type { JobTemplate } from '../data/template/job-template.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import { GREEDY } from '../generation/contract.ts';
import { openGenerationModel } from '../generation/generation-model.ts';
import { readModelConfig } from '../model/weights.ts';
import { hashWords } from '../tuning/random.ts';

/** As many as a loss needs to be known to some thousandths of a nat; each is evaluated twice. */
const MAX_EXAMPLES = 512;
/** The base writes few texts, and short ones, because on a CPU each token takes about as long as reading many. */
const SAMPLES = 32;
const SAMPLE_TOKENS = 128;

export interface RetentionOptions {
  modelDir: string;
  /** Longest text, virtual tokens not included. */
  maxLengthTokens: number;
  template: JobTemplate;
  /** The date that chat templates see. */
  today: Date;
  /** In which the base is held while it writes. */
  precision: Precision;
  seed: number;
  working?: (() => void | Promise<void>) | undefined;
  signal?: AbortSignal | undefined;
}

/** @returns the file's first examples; what is longer than the model reads is cut off. @throws Refusal for what is wrong with the file */
export async function examplesOf(
  file: string,
  { modelDir, maxLengthTokens, template, today, signal, working }: RetentionOptions,
): Promise<Example[]> {
  const tokenizer = await Tokenizer.open(modelDir);
  const { examples } = await readDataset(file, {
    param: 'retention_file',
    tokenizer,
    template: await ChatTemplate.open(tokenizer, today, template),
    vocabSize: readModelConfig(modelDir).vocabSize,
    maxLengthTokens,
    truncation: 'right',
    incompleteTurns: 'drop',
    signal,
    preparing: () => working?.(),
  });
  try {
    return firstExamples(examples, MAX_EXAMPLES);
  } finally {
    examples.close();
  }
}

/**
 * @returns texts that the base continues from the token that begins one, drawn with its own probabilities; the same seed gives the same texts
 * @throws Refusal `no_samples` for a base that cannot write any
 */
export async function samplesOfBase({ modelDir, maxLengthTokens, precision, seed, working, signal }: RetentionOptions): Promise<Example[]> {
  const tokenizer = await Tokenizer.open(modelDir);
  const prompt = await beginningOf(modelDir, tokenizer);
  if (prompt.length === 0) throw noSamples('neither its tokenizer nor its configuration names a token that begins or ends a text');
  const contextTokens = Math.min(prompt.length + SAMPLE_TOKENS, maxLengthTokens);
  const [end] = (await tokenizer.encode(tokenizer.eosToken, { addSpecialTokens: false })).ids;
  const model = await openGenerationModel({ modelDir, precision, contextTokens });
  const options = { onPiece: () => void working?.(), ...(signal && { signal }) };

  /** Where the base ends a text early, it begins the next one: a chat model's turns are short. What ends a text does not count. */
  async function written(sample: number): Promise<Example> {
    const ids = [...prompt];
    const lossWeights = ids.map(() => 0);
    while (ids.length < contextTokens) {
      const request = { ...GREEDY, temperature: 1, adapter: null, prompt: Int32Array.from(ids), maxTokens: SAMPLE_TOKENS };
      const { tokenIds, finishReason } = await model.generate({ ...request, seed: hashWords(seed, sample, ids.length) }, options);
      ids.push(...tokenIds);
      lossWeights.push(...tokenIds.map(() => 1));
      if (finishReason === 'length' || end === undefined) break;
      ids.push(end);
      lossWeights.push(0);
    }
    return { inputIds: Int32Array.from(ids), lossWeights: Float32Array.from(lossWeights) };
  }

  try {
    const texts = await Promise.all(Array.from({ length: SAMPLES }, (_, sample) => written(sample)));
    const examples = texts.filter((text) => supervisedTokens(text) > 0);
    if (examples.length === 0) throw noSamples('it ends every text at once');
    return examples;
  } finally {
    model.dispose();
  }
}

/** @returns the token that begins a text, or else the one that ends the text before; empty if the model names neither */
async function beginningOf(modelDir: string, tokenizer: Tokenizer): Promise<Int32Array> {
  const named = tokenizer.specialTokens['bos_token'];
  const id = readModelConfig(modelDir).bosTokenId;
  if (named === undefined && id !== null) return Int32Array.of(id);
  return (await tokenizer.encode(named ?? tokenizer.eosToken, { addSpecialTokens: false })).ids;
}

const noSamples = (why: string): Refusal =>
  new Refusal('no_samples', `The base model writes no text of its own: ${why}`, {
    param: 'retention_file',
    hint: 'Give the job a retention_file of what the model must not forget.',
  });

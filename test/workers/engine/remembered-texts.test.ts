import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../reference/fixtures.ts';
import { resolveTuning, type Tuning } from '../../../src/formats/tuning/tuning.ts';
import { continueGreedily } from '../../../workers/engine/answers/continue.ts';
import { openForTraining } from '../../../workers/engine/compiled/open-model.ts';
import type { TrainOptions } from '../../../workers/engine/contract.ts';
import { tf } from '../../../workers/engine/tensorflow/tensorflow.ts';
import { train } from '../../../workers/engine/train.ts';
import type { LearningModel, TextMemory } from '../../../workers/engine/tuning/tuned-model.ts';
import { sameAnswer } from '../../journey/dataset.ts';
import { seededRandom } from '../../random.ts';

const TINY = referencePath('cases', 'llama-gqa-tied', 'model');
const family = (name: string): string => referencePath('families', name, 'model');

const open = (modelDir: string, tuning: Tuning): LearningModel =>
  openForTraining({ modelDir, tuning: resolveTuning(tuning), seed: 3, weightDecay: 0, answers: true });

/** Together more than the tokens of a pass, and one that is longer than a page of the memory, where the context allows it. */
const promptsFor = ({ config }: Pick<LearningModel, 'config'>): Int32Array[] =>
  [1, 90, 30, 7, 13].map((length, prompt) =>
    Int32Array.from({ length: Math.min(length, config.maxPositionTokens - 4) }, (_, index) => 3 + ((prompt * 17 + index * 7) % 40)),
  );
const options = { maxTokens: 12, stopTokenIds: new Set<number>() };

const cached = (model: LearningModel) => continueGreedily(model, promptsFor(model), options);
/** Each text is computed whole for every token. */
const whole = (model: LearningModel) =>
  continueGreedily(
    { config: model.config, tuning: model.tuning, nextTokens: (texts) => model.nextTokens(texts), textMemory: null },
    promptsFor(model),
    options,
  );

/** Moves what is trained, as steps do. */
function move(model: LearningModel): void {
  const random = seededRandom(5);
  const moved = [...model.read()].map(([name, { data }]) => [name, data.map((value) => value + 0.2 * (random.next() - 0.5))] as const);
  model.assign(new Map(moved));
}

/** The memory of a model, with the texts that are in it at the moment. */
function watched(memory: TextMemory): { memory: TextMemory; held: Set<number> } {
  const held = new Set<number>();
  return {
    held,
    memory: {
      next(pieces) {
        for (const { slot } of pieces) held.add(slot);
        return memory.next(pieces);
      },
      forget(slots) {
        for (const slot of slots) held.delete(slot);
        memory.forget(slots);
      },
    },
  };
}

const lora: Tuning = { type: 'lora', r: 4 };

describe('texts that are remembered while they are continued', () => {
  it.each<[string, string, Tuning]>([
    ['LoRA', TINY, lora],
    ['DoRA', TINY, { ...lora, use_dora: true }],
    ['full fine-tuning', TINY, { type: 'full' }],
    ['(IA)³', TINY, { type: 'ia3' }],
    ['VeRA', TINY, { type: 'vera', r: 8 }],
    ['LoRA and weights as [in, out], with learned positions', family('gpt2'), lora],
    ['full fine-tuning and weights as [in, out]', family('gpt2'), { type: 'full' }],
    ['LoRA, windows and capped logits', family('gemma2'), lora],
    ['LoRA and two rotary embeddings', family('gemma3'), lora],
    ['LoRA and layers with a recurrent state', family('qwen3.5'), lora],
    ['LoRA and short convolutions', family('lfm2'), lora],
    ['LoRA and Mamba layers', family('granite4-hybrid'), lora],
  ])('by a model with %s › are those that are computed whole, also after its weights have moved', async (_what, modelDir, tuning) => {
    const model = open(modelDir, tuning);
    expect(model.textMemory).not.toBeNull();
    const first = await cached(model);
    expect(first).toEqual(await whole(model));
    move(model);
    const tensors = tf.memory().numTensors;
    const second = await cached(model);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(second).toEqual(await whole(model));
    expect(second).not.toEqual(first);
    model.dispose();
  });

  it.each<[string, string, Tuning]>([
    ['has virtual tokens', TINY, { type: 'prompt', num_virtual_tokens: 4 }],
    ['has virtual keys and values', TINY, { type: 'prefix', num_virtual_tokens: 4 }],
    ['rotates by angles that depend on the length', family('llama-dynamic-rope'), lora],
  ])('are computed whole by a model that %s', async (_what, modelDir, tuning) => {
    const model = open(modelDir, tuning);
    expect(model.textMemory).toBeNull();
    expect(await cached(model)).toEqual(await whole(model));
    model.dispose();
  });

  it('leave the memory when they end, and all of them when the run is stopped', async () => {
    const model = open(TINY, lora);
    const { memory, held } = watched(model.textMemory!);
    const watching = { config: model.config, tuning: model.tuning, nextTokens: () => new Int32Array(), textMemory: memory };
    const prompts = promptsFor(model);
    const many = Array.from({ length: 40 }, (_, index) => prompts[index % prompts.length]!);
    const sizes: number[] = [];
    await continueGreedily(watching, many, { ...options, onPass: () => void sizes.push(held.size) });
    expect([sizes[0], Math.min(...sizes), held.size]).toEqual([32, 0, 0]); // as many at once as may be, and the others as these end

    const stopping = new AbortController();
    const onPass = () => stopping.abort(new Error('paused'));
    await expect(continueGreedily(watching, prompts, { ...options, onPass, signal: stopping.signal })).rejects.toThrow('paused');
    expect(held.size).toBe(0);
    model.dispose();
  });
});

describe('a run that asks its model', () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'graft-continue-'));
    await writeFile(join(dir, 'training.jsonl'), sameAnswer(8));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  it.each<[string, Tuning, string]>([
    ['an adapter', { ...lora, lora_dropout: 0.1 }, 'adapter_model.safetensors'],
    ['a model', { type: 'full' }, 'model.safetensors'],
  ])('delivers %s with the same bytes as one that does not', async (_what, tuning, file) => {
    const run = async (name: string, answers: TrainOptions['answers']) => {
      const outputDir = join(dir, `${tuning.type}-${name}`);
      const steps = { n_epochs: 3, batch_size: 4, learning_rate: 0.01, eval_steps: 1 };
      const trainingFile = join(dir, 'training.jsonl');
      await train({ modelDir: TINY, trainingFile, outputDir, tuning, hyperparameters: steps, seed: 7, ...(answers && { answers }) });
      return readFile(join(outputDir, file));
    };
    const asked = await run('asked', { samplePrompts: ['Question', 'Answer'], evaluations: [], maxExamples: 1, maxTokens: 8 });
    expect(asked).toEqual(await run('plain', undefined));
  });
});

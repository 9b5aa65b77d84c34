/** The model with which Graft and its peers are measured: SmolLM2-135M's shape with random weights, unless another shape or a model is named. */
import { defined } from '../src/formats/defined.ts';
import type { Precision } from '../src/formats/hyperparameters.ts';
import { weightShapes } from '../src/formats/module-shapes.ts';
import { parseModelConfig } from '../src/formats/parse-model-config.ts';
import { QUANTIZATIONS, type Quantization } from '../src/formats/quantization.ts';
import type { ResolvedLora } from '../src/formats/tuning/lora-fields.ts';
import { CompiledModel, type CompileOptions } from '../workers/engine/compiled/compiled-model.ts';
import { heldIn } from '../workers/engine/compiled/open-model.ts';
import { Member } from '../workers/engine/compiled/together/member.ts';
import { SharedBase } from '../workers/engine/compiled/together/shared-base.ts';
import { convertInto } from '../workers/engine/io/float-formats.ts';
import { productsIn } from '../workers/engine/machine/precision.ts';
import { openWeights, readModelConfig } from '../workers/engine/model/weights.ts';
import { supervised } from '../workers/engine/objectives/supervised.ts';
import { configJson, type Shape, type ShapeChanges, SMOLLM2_135M } from './smollm-shapes.ts';

interface Weights extends Pick<CompileOptions, 'config' | 'readWeight'> {
  isBfloat16(name: string): boolean;
}

/** @param options.stored the type that a checkpoint would have them in */
function randomModel(shape: Shape, { changes, stored }: Pick<RandomWeights, 'changes' | 'stored'>): Weights {
  const config = parseModelConfig(configJson(shape, changes), shape);
  const shapes = weightShapes(config);
  const small = smallNumbers();
  /** Norm weights are ones, all others are small. */
  const readWeight: CompileOptions['readWeight'] = (name, { held }) => {
    const ones = shapes.get(name)!.length === 1;
    for (let done = 0; done < held.length; done += small.length) {
      const part = held.subarray(done, done + small.length);
      const values = ones ? new Float32Array(part.length).fill(1) : small.subarray(0, part.length);
      convertInto(new Uint8Array(values.buffer as ArrayBuffer, 0, values.byteLength), 'F32', part);
    }
  };
  return { config, readWeight, isBfloat16: () => stored === 'bf16' };
}

/** Repeated, because a billion of them would take longer than what is measured. A prime number, so that rows of a matrix differ. */
const SMALL_NUMBERS = 1_048_573;

function smallNumbers(): Float32Array {
  let state = 1;
  return Float32Array.from({ length: SMALL_NUMBERS }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator: fast, and random enough for products
    return (state / 2 ** 31 - 1) * 0.035;
  });
}

/** @throws Error if it is neither f32 nor bf16 */
export function precisionOf(text: string): Precision {
  if (text !== 'f32' && text !== 'bf16') throw new Error(`--precision is "${text}"; it takes f32 or bf16`);
  return text;
}

/** @throws Error if it is no quantisation. @returns null for `none` */
export function quantizationOf(text: string): Quantization | null {
  const found = QUANTIZATIONS.find((name) => name === text) ?? null;
  if (found === null && text !== 'none') throw new Error(`--quantization is "${text}"; it takes none, ${QUANTIZATIONS.join(', ')}`);
  return found;
}

interface RandomWeights {
  shape: Shape;
  changes: ShapeChanges;
  /** The type that the checkpoint has them in. */
  stored: Precision;
}

/** As published models have them. */
const RANDOM_WEIGHTS: RandomWeights = { shape: SMOLLM2_135M, changes: {}, stored: 'bf16' };

type BenchOptions = Pick<CompileOptions, 'tuning' | 'precision' | 'quantization' | 'learning'> &
  Partial<RandomWeights> & {
    /** Called when the graph is recorded, before the weights are read. */
    recorded?: () => void;
  };

/** @param modelDir a Hugging Face directory; undefined for random weights */
export function openBenchModel(modelDir: string | undefined, { shape, changes, stored, recorded, ...options }: BenchOptions): CompiledModel {
  const { precision } = options;
  const products = productsIn(precision);
  const common = { ...options, precision: products, objective: supervised, seed: 0 };
  const random: RandomWeights = { ...RANDOM_WEIGHTS, ...defined({ shape, changes, stored }) };
  return withWeights(modelDir, { ...random, precision, products }, (weights) => {
    let reading = false;
    const readWeight: CompileOptions['readWeight'] = (name, piece) => {
      if (!reading) recorded?.();
      reading = true;
      weights.readWeight(name, piece);
    };
    return new CompiledModel({ ...common, ...weights, readWeight });
  });
}

interface JobsOptions {
  shape?: Shape;
  tuning: ResolvedLora;
  precision: Precision;
}

/** Adapters of several jobs on one base. */
export function openBenchJobs(
  modelDir: string | undefined,
  count: number,
  { shape = RANDOM_WEIGHTS.shape, tuning, precision }: JobsOptions,
): Member[] {
  const members = Array.from({ length: count }, (_, seed) => ({ tuning, seed, weightDecay: 0.01 }));
  const products = productsIn(precision);
  const common = { objective: supervised, members, precision: products, gradientCheckpointing: false };
  const base = withWeights(modelDir, { ...RANDOM_WEIGHTS, shape, precision, products }, (weights) => new SharedBase({ ...common, ...weights }));
  return members.map((_, number) => new Member(base, number, tuning));
}

function withWeights<T>(
  modelDir: string | undefined,
  { shape, precision, products, ...random }: RandomWeights & { precision: Precision; products: Precision },
  create: (weights: Pick<CompileOptions, 'config' | 'readWeight' | 'heldIn'>) => T,
): T {
  const held = (weights: Weights): T => create({ ...weights, heldIn: heldIn(weights, { precision, products }) });
  if (modelDir === undefined) return held(randomModel(shape, random));
  const stored = openWeights(modelDir, readModelConfig(modelDir));
  try {
    return held({ ...stored, readWeight: (name, { held, first }) => stored.readInto(name, held, first) });
  } finally {
    stored.close();
  }
}

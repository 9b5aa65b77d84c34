/**
 * How much memory a training process takes at its peak on a CPU, from config.json and the choices of a job alone. What is held between steps follows from
 * shapes; what comes and goes was measured once (`npm run bench:estimate` compares both), on 2 cores.
 */
import { type Static, Type } from 'typebox';
import { count } from './count.ts';
import type { Precision } from './hyperparameters.ts';
import { convolvedSize, headsOf, innerSize, mixedSize } from './mixers.ts';
import type { Mixer, ModelConfig } from './model-config.ts';
import { isBuffer, usedHeadWeight, weightShapes } from './module-shapes.ts';
import { blocksOf, momentsIn8Bits, type Optim } from './optimizer.ts';
import { headParts, tokensOfHeadPart } from './pass-size.ts';
import { type Quantization, quantizableWeights, quantizedBytes } from './quantization.ts';
import { shapeSize } from './shape-size.ts';
import { constantShapes, keptElements, type ResolvedTuning, trainedShapes } from './tuning/tuning.ts';

export const MemoryEstimate = Type.Object(
  {
    runtime_bytes: count('Node.js, TensorFlow, the tokenizer and the recorded graph.'),
    weights_bytes: count("The base model's weights, as they are held: in f32, or frozen matrices in bf16 or quantised."),
    adapter_bytes: count('What the method adds to the base.'),
    gradients_bytes: count('In f32, for everything that is trained.'),
    optimizer_bytes: count("AdamW's two moments, in f32 or in 8 bits."),
    activations_bytes: count('What the backward pass reads of the forward pass, for the largest pass.'),
    workspace_bytes: count(
      "The head's logits, a block's intermediate results, the update, a checkpoint on its way to the disk, and the best values so far where they are delivered.",
    ),
    total_bytes: count('Peak of the training process.'),
  },
  { title: 'MemoryEstimate', description: 'For training on a CPU.' },
);
export type MemoryEstimate = Static<typeof MemoryEstimate>;

export interface EstimatedRun {
  config: ModelConfig;
  tuning: ResolvedTuning;
  precision: Precision;
  /** Default: AdamW with moments in f32. */
  optim?: Optim | undefined;
  /** Whether parameters are updated as their gradients arise, which then are never together in memory; default: they are. */
  gradientsPass?: boolean;
  /** Whether the base is stored in bf16: f32 then holds its frozen matrices so too, because they are the same numbers. */
  storedInBf16: boolean;
  /** How frozen weights of linear layers are held instead; default: they are not quantised. */
  quantization?: Quantization | undefined;
  gradientCheckpointing: boolean;
  /** Whether the best trained values so far are kept; default: they are not. */
  keepsBest?: boolean;
  /** Of the largest pass. */
  pass: PassSize;
}

export interface PassSize {
  /** Padded tokens. */
  tokens: number;
  /** How many of them have a loss. */
  supervisedTokens: number;
}

const MIB = 2 ** 20;
/** Node.js with TensorFlow loaded. */
const PROCESS_BYTES = 440 * MIB;
/** The recorded graph as JavaScript and TensorFlow hold it: for the model as a whole, and for each block. */
const GRAPH_BYTES = 52 * MIB;
const GRAPH_BYTES_OF_BLOCK = 1.2 * MIB;
/** Hugging Face's tokenizers hold this much for each entry of a BPE's vocabulary, with its merges. */
const TOKENIZER_BYTES_OF_ENTRY = 1_000;

/** The logits of a part of the tokens, their softmax and its gradient. */
const LOGITS_TENSORS = 3;
/** As wide as the MLP's hidden state, while a block's gradients are computed. */
const BLOCK_TENSORS = 8;
/** While a slab is updated by TensorFlow: its clipped gradients, and how much its parameters decay. Our own kernel for moments in 8 bits needs nothing. */
const UPDATED_COPIES: Readonly<Record<Optim, number>> = { adamw_torch: 2, adamw_8bit: 0 };
/** Parameters and moments are read into JavaScript slab by slab to be written: what is in memory of the largest. */
const CHECKPOINT_COPIES = 3;
/** Where gradients pass, those of a block are in memory as products give them, and joined; those outside the blocks wait for the end. */
const PASSING_COPIES = 2;

const F32_BYTES = 4;
const HELD_BYTES: Readonly<Record<Precision, number>> = { f32: F32_BYTES, bf16: 2 };

/** @throws Refusal for a tuning that does not fit the model */
export function estimateMemory(run: EstimatedRun): MemoryEstimate {
  const { config, tuning } = run;
  const base = weightShapes(config);
  const trained = trainedShapes(config, tuning);
  const frozen = [...base].filter(([name]) => !trained.has(name));
  const added = [...trained].filter(([name]) => !base.has(name)).map(([, shape]) => shape);
  const trainedBytes = F32_BYTES * countOf(trained.values());
  const bytesHeld = bytesOfFrozen(run);
  const heldBytes = frozen.reduce((sum, weight) => sum + bytesHeld(weight), 0);
  const addedBytes = F32_BYTES * countOf(added);
  const in8Bits = momentsIn8Bits(run.optim ?? 'adamw_torch', config);
  const optimizerBytes = [...trained].reduce((sum, [name, shape]) => sum + 2 * momentBytes(shapeSize(shape), in8Bits(name, shape)), 0);
  const slabs = slabSizes(config, trained);
  const constantBytes = F32_BYTES * countOf(constantShapes(config, tuning).values());

  const estimate = {
    runtime_bytes: PROCESS_BYTES + GRAPH_BYTES + GRAPH_BYTES_OF_BLOCK * config.layers + TOKENIZER_BYTES_OF_ENTRY * config.vocabSize,
    weights_bytes: heldBytes + trainedBytes - addedBytes,
    adapter_bytes: addedBytes + constantBytes,
    gradients_bytes: run.gradientsPass ? PASSING_COPIES * slabs.block + slabs.outside : trainedBytes,
    optimizer_bytes: optimizerBytes,
    activations_bytes: activationBytes(run, {
      trainsNorms: [...trained].some(([name, shape]) => base.has(name) && shape.length === 1),
      kept: keptElements(config, tuning) ?? ranks(added),
    }),
    workspace_bytes: workspaceBytes(run, { trainedBytes, slabs, trainsHead: trained.has(usedHeadWeight(config)) }),
  };
  const parts = Object.fromEntries(Object.entries(estimate).map(([name, value]) => [name, Math.round(value)])) as typeof estimate;
  return { ...parts, total_bytes: Object.values(parts).reduce((sum, part) => sum + part, 0) };
}

/** How many parameters a method trains, and how many the model has with what the method adds. */
export function countParameters(config: ModelConfig, tuning: ResolvedTuning): { trained: number; total: number } {
  const base = weightShapes(config);
  const trained = trainedShapes(config, tuning);
  const all = new Map([...[...base].filter(([name]) => !isBuffer(name, config)), ...constantShapes(config, tuning), ...trained]);
  return { trained: countOf(trained.values()), total: countOf(all.values()) };
}

/** @returns the bytes of one moment: in 8 bits, with a scale for each block */
const momentBytes = (elements: number, in8Bits: boolean): number => (in8Bits ? elements + F32_BYTES * blocksOf(elements) : F32_BYTES * elements);

type Shape = readonly number[];

/** Bytes of what is updated together, in f32. */
interface SlabSizes {
  /** Of the block with most trained parameters. */
  block: number;
  /** Of all that is outside the blocks. */
  outside: number;
}

function slabSizes({ names }: ModelConfig, trained: ReadonlyMap<string, Shape>): SlabSizes {
  const blocks = new Map<string, number>();
  let outside = 0;
  for (const [name, shape] of trained) {
    const bytes = F32_BYTES * shapeSize(shape);
    const block = name.split(`${names.blocks}.`)[1]?.split('.', 1)[0];
    if (block === undefined) outside += bytes;
    else blocks.set(block, (blocks.get(block) ?? 0) + bytes);
  }
  return { block: Math.max(0, ...blocks.values()), outside };
}

const countOf = (shapes: Iterable<Shape>): number => [...shapes].reduce((sum, shape) => sum + shapeSize(shape), 0);

/** @returns the bytes of a frozen weight */
function bytesOfFrozen({ config, precision, storedInBf16, quantization }: EstimatedRun): (weight: readonly [string, Shape]) => number {
  const quantizable = quantization && quantizableWeights(config);
  return ([name, shape]) => {
    const matrix = quantizable?.get(name);
    if (matrix !== undefined) return quantizedBytes(quantization!, matrix);
    return shapeSize(shape) * (shape.length === 1 ? F32_BYTES : HELD_BYTES[storedInBf16 ? 'bf16' : precision]);
  };
}

/** What the minimum cut (compiled/rewriting/recompute.ts) keeps of a block for each token. */
function activationBytes(
  { config, precision, gradientCheckpointing, pass }: EstimatedRun,
  { trainsNorms, kept }: { trainsNorms: boolean; kept: number },
): number {
  const { layers, hiddenSize, intermediateSize, mixers, names, parallelResidual } = config;
  if (gradientCheckpointing) return pass.tokens * F32_BYTES * hiddenSize * (layers + 1); // the hidden states between blocks
  const product = HELD_BYTES[precision];
  // Products give bf16, and norms f32; where a norm is not trained, the product before it is kept instead.
  const normed = precision === 'bf16' && !trainsNorms ? product : F32_BYTES;
  const isGated = !('up' in names.mlp) || 'gate' in names.mlp;
  // Without a gate, the sum of a product and its adapter goes into the activation as it is, in f32.
  const mlp = (isGated ? 2 * product : trainsNorms ? product : F32_BYTES) * intermediateSize;
  const norms = (parallelResidual ? 1 : 2) * hiddenSize;
  const ofMixers = mixers.reduce((sum, mixer) => sum + mixerBytes(mixer, config, product), 0);
  const sparse = config.experts?.inBlocks.filter(Boolean).length ?? 0;
  const ofMlps = (layers - sparse + doubledBlocks(config)) * mlp + sparse * expertBytes(config, product);
  const ofBlocks = ofMlps + layers * (normed * norms + perLayerInputBytes(config, { product, normed }));
  return pass.tokens * (ofBlocks + ofMixers + F32_BYTES * kept);
}

/** @returns how many blocks have an MLP that is twice as wide */
const doubledBlocks = ({ layers, mlp }: ModelConfig): number => layers - Math.min(layers, mlp.doubledFrom ?? layers);

/** Of a block's experts: gates, ups and results of those that a token has, in f32 its probabilities for all, and gates and ups of what all tokens go through. */
function expertBytes({ experts, hiddenSize }: ModelConfig, product: number): number {
  if (experts === undefined) return 0;
  const { count, perToken, intermediateSize, shared } = experts;
  return product * (perToken * (2 * intermediateSize + hiddenSize) + 2 * (shared?.intermediateSize ?? 0)) + F32_BYTES * count;
}

/** What Gemma 4 adds to a block: a gate and the input that it lets through, and the result before its norm. */
const perLayerInputBytes = ({ perLayerInputs, hiddenSize }: ModelConfig, { product, normed }: { product: number; normed: number }): number =>
  perLayerInputs === undefined ? 0 : (product + F32_BYTES) * perLayerInputs.size + normed * hiddenSize;

/** @param product bytes of an element that a product gives */
function mixerBytes(mixer: Mixer, config: ModelConfig, product: number): number {
  const { hiddenSize, attention } = config;
  if (mixer.kind === 'attention') {
    const { heads, kvHeads, headSize } = headsOf(config, mixer);
    const gates = attention.outputGate ? heads * headSize : 0;
    // Queries, keys, values and what comes of them; and a logarithm for each head.
    return product * (2 * (heads + kvHeads) * headSize + gates) + F32_BYTES * heads;
  }
  if (mixer.kind === 'short_convolution') return product * 3 * hiddenSize;
  // All projections; and in f32 what the states give.
  if (mixer.kind === 'mamba') return product * (innerSize(mixer) + convolvedSize(mixer) + mixer.heads) + F32_BYTES * innerSize(mixer);
  const values = mixer.valueHeads * mixer.valueSize;
  // All projections; and in f32 the results of the delta rule and the errors that it learned from.
  return product * (mixedSize(mixer) + values + 2 * mixer.valueHeads) + F32_BYTES * 2 * values;
}

/** @returns the ranks of all adapted layers: what their first products give for each token */
const ranks = (added: readonly Shape[]): number => added.reduce((sum, shape) => sum + Math.min(...shape), 0) / 2; // A and B each have it

function workspaceBytes(
  { config, precision, optim = 'adamw_torch', pass, keepsBest = false }: EstimatedRun,
  { trainedBytes, slabs, trainsHead }: { trainedBytes: number; slabs: SlabSizes; trainsHead: boolean },
): number {
  const part = tokensOfHeadPart(pass.supervisedTokens, { vocabSize: config.vocabSize, parts: headParts(trainsHead) });
  const logits = Math.min(part, pass.supervisedTokens) * config.vocabSize;
  const block = HELD_BYTES[precision] * pass.tokens * config.intermediateSize;
  const head = trainsHead ? config.vocabSize * config.hiddenSize : 0; // its gradient, to which all parts are added
  const ofPass = F32_BYTES * (LOGITS_TENSORS * logits + head) + BLOCK_TENSORS * block;
  const largest = Math.max(slabs.block, slabs.outside);
  const updated = UPDATED_COPIES[optim] * largest;
  return ofPass + updated + Number(keepsBest) * trainedBytes + CHECKPOINT_COPIES * largest;
}

/** Records what continues texts as one graph: reading a piece of one text, and one more token of each of several. Nothing is computed yet. */
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { linearLayers, weightShapes } from '../../../src/formats/module-shapes.ts';
import { primesDividingNone } from '../compiled/pass-feeds.ts';
import { fixedSizes, type HeldIn, holdFrozen, tensorsIn } from '../compiled/recorded-slabs.ts';
import { DType, type Graph, type Output } from '../compiled/recording/graph.ts';
import { Recorder } from '../compiled/recording/recorder.ts';
import { fuseRows } from '../compiled/rewriting/fuse.ts';
import type { HeldSlab } from '../compiled/session/held-slabs.ts';
import { tokenRows } from '../compiled/token-rows.ts';
import { Decoder, type TokenGrid } from '../model/decoder.ts';
import { expertProducts } from '../model/expert-products.ts';
import type { Parameters } from '../model/parameters.ts';
import { softCapped } from '../objectives/cross-entropy.ts';
import { adapterRowsKernel, instructionSet, rowProductsKernel } from '../tensorflow/native.ts';
import { within } from '../tensorflow/scope.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, tf } from '../tensorflow/tensorflow.ts';

/** Names of what is fed. */
export const FEEDS = {
  tokens: 'tokens',
  inputIds: 'input_ids',
  positions: 'positions',
  slots: 'slots',
  adapters: 'adapters',
  frequencies: (index: number) => `frequencies_${index}`,
  last: 'last',
  released: 'released',
  adapter: 'adapter',
  module: 'module',
  A: 'a',
  B: 'b',
  scaling: 'scaling',
} as const;

export interface RecordedGeneration {
  graph: Graph;
  frozen: readonly HeldSlab[];
  /** [1, vocab], after the row `last` of a piece of a text. */
  read: Output;
  /** [tokens, vocab], after each row; the rows belong to different texts. */
  next: Output;
  /** Fetching these changes what the session holds. */
  release: Output;
  assignAdapter: Output;
  removeAdapter: Output;
}

interface GenerationChoices {
  config: ModelConfig;
  /** Of the products. They round their inputs to bf16 only where the processor is faster then, and sum in f32 in any case. */
  precision: Precision;
  heldIn: HeldIn;
}

export function recordGeneration({ config, precision, heldIn }: GenerationChoices): RecordedGeneration {
  if (config.inputFirst) throw new Error('the kernels for few rows take weights as [out, in]');
  const rounds = precision === 'bf16';
  const usesMatrixUnit = rounds && instructionSet() === 'amx';
  const recorder = new Recorder(precision);
  const { graph } = recorder;
  const frozen = holdFrozen(graph, [...weightShapes(config)], { blocks: config.names.blocks, heldIn });
  const weights = tensorsIn(recorder, frozen);
  const { grid, adapters, last } = declareFeeds(recorder, config, fixedSizes(config, frozen));
  const decoder = new Decoder(config);
  const record = (pass: 'read' | 'next'): Output => {
    let logits: Output | undefined;
    recorder.record(() =>
      tf.tidy(() => {
        const parameters = rowParameters(weights, { config, adapters, rounds, general: pass === 'read' && usesMatrixUnit });
        const states = pass === 'next' ? decoder.states(grid, parameters) : decoder.statesAt(grid, last, parameters);
        const [products] = rowProductsKernel(states, [decoder.head(parameters)], { rounds });
        logits = recorder.outputOf(softCapped(products!, config.logitSoftCap));
      }),
    );
    return logits!;
  };
  const [read, next] = [record('read'), record('next')];
  recorder.record(() => tf.dispose([...weights.values()]));
  recorder.dispose();
  fuseRows(graph, [[read], [next]]);
  return { graph, frozen, read, next, ...recordChanges(graph) };
}

interface GenerationFeeds {
  grid: TokenGrid;
  /** [tokens] int32, the number of each row's adapter, or −1 */
  adapters: Tensor1D;
  /** [1] int32 */
  last: Tensor1D;
}

function declareFeeds(recorder: Recorder, config: ModelConfig, sizes: readonly number[]): GenerationFeeds {
  const [tokens] = primesDividingNone(sizes, 1) as [number];
  recorder.size(FEEDS.tokens, tokens);
  return {
    grid: tokenRows(recorder, { config, tokens, feeds: FEEDS }),
    adapters: recorder.feed(FEEDS.adapters, 'int32', [tokens]) as Tensor1D,
    last: recorder.feed(FEEDS.last, 'int32', [1]) as Tensor1D,
  };
}

interface RowParametersOptions {
  config: ModelConfig;
  adapters: Tensor1D;
  /** Whether TensorFlow's products are used: on the processor's matrix unit, ours are faster only for a few rows. */
  general: boolean;
  /** Whether their inputs may be rounded to bf16. */
  rounds: boolean;
}

/** The base model's layers, each followed by the update of every row's own adapter. */
function rowParameters(weights: ReadonlyMap<string, Tensor>, { config, adapters, general, rounds }: RowParametersOptions): Parameters {
  const numbers = new Map([...linearLayers(config).keys()].map((module, index) => [module, index]));
  const weight = (name: string): Tensor => weights.get(name)!;
  const linears = (modules: readonly string[], x: Tensor2D): Tensor2D[] =>
    within(modules[0]!, () => {
      const matrices = modules.map((module) => weight(`${module}.weight`) as Tensor2D);
      const products = general ? matrices.map((W): Tensor2D => tf.matMul(x, W, false, true)) : rowProductsKernel(x, matrices, { rounds });
      const number = numbers.get(modules[0]!);
      const updated = number === undefined ? products : adapterRowsKernel(x, adapters, products, number); // a router has no number
      return modules.map((module, index) => {
        const bias = weights.get(`${module}.bias`);
        return bias === undefined ? updated[index]! : tf.add(updated[index]!, bias);
      });
    });
  const experts = (name: string, x: Tensor2D, chosen: Tensor1D): Tensor2D => expertProducts(x, weight(name) as Tensor3D, chosen, config.experts);
  return { weight, linear: (module, x) => linears([module], x)[0]!, linears, experts };
}

/** Adds what frees texts, and what sets and removes adapters. */
function recordChanges(graph: Graph): Pick<RecordedGeneration, 'release' | 'assignAdapter' | 'removeAdapter'> {
  const number = (name: string): Output => graph.placeholder(name, DType.int32, []);
  const change = (op: string, inputs: Output[]): Output => graph.add(op, {}, inputs, [inputs[0]!], { stateful: true }).outputs[0]!;
  const matrix = (name: string): Output => graph.placeholder(name, DType.float32, [-1, -1]);
  const adapter = number(FEEDS.adapter);
  const pair = [matrix(FEEDS.A), matrix(FEEDS.B), graph.placeholder(FEEDS.scaling, DType.float32, [])];
  return {
    release: change('GraftCacheRelease', [graph.placeholder(FEEDS.released, DType.int32, [-1])]),
    assignAdapter: change('GraftAdapterAssign', [adapter, number(FEEDS.module), ...pair]),
    removeAdapter: change('GraftAdapterRemove', [adapter]),
  };
}

/** A tuned model whose passes and steps are each one run of one graph. Its weights are in the graph's session and nowhere else. */

import type { Precision } from '../../../src/formats/hyperparameters.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning.ts';
import { backend } from '../backend.ts';
import type { Batch } from '../data/batch.ts';
import { partSizes } from '../loss/cross-entropy.ts';
import { type SupervisedPositions, supervisedPositions } from '../loss/supervised-positions.ts';
import { weightShapes } from '../model/module-shapes.ts';
import { type GridContent, rotariesOf, tokenGrid } from '../model/token-grid.ts';
import { type Tensor, type Tensor2D, tf } from '../tensorflow.ts';
import { trainLora } from '../tuning/lora.ts';
import { type DropoutPosition, dropoutKey, type Trained, trainAll, trainNothing } from '../tuning/trained.ts';
import type { LearningModel, Losses, MomentValues, TensorValues, Update } from '../tuning/tuned-model.ts';
import { type AdamWConstants, recordUpdate, type TrainedVariables, updateScalars } from './adamw-update.ts';
import { fuseRows } from './fuse.ts';
import { type Attribute, DType, type Graph, type Output } from './graph.ts';
import { profile, type TimedOperation } from './profile.ts';
import { FEEDS, feedsOfPass, recordLogits, recordPass } from './recorded-pass.ts';
import { Recorder } from './recorder.ts';
import { GraphSession, uploaded } from './session.ts';
import { asGiven, givenClass, type SessionVariable, sessionVariable } from './session-variable.ts';
import { type Fill, join, laidOut, partsOf, type Slab, slabsOf, split, VECTORS } from './slab.ts';

const FLOAT: Attribute = { kind: 'type', value: DType.float32 };
const BETAS = [0.9, 0.999] as const;
const EPSILON = 1e-8;

export interface CompileOptions {
  config: ModelConfig;
  /** Puts a weight of the base where it is held. */
  readWeight: Fill;
  /** null: the base alone. */
  tuning: ResolvedTuning | null;
  /** Of an adapter's first values. */
  seed: number;
  /** Of products. */
  precision: Precision;
  /** Of the base's matrices as they are held, when they are not trained. */
  heldIn: Precision;
  /** null: it will not learn, and has no gradients and no moments. */
  learning: { weightDecay: number; gradientCheckpointing?: boolean } | null;
}

/** Tensors that lie in the session together. */
interface HeldSlab {
  slab: Slab;
  variable: SessionVariable;
}

/** With what it shall hold. */
interface FilledSlab extends HeldSlab {
  fill: Fill;
}

/** What is trained, and what its optimizer keeps. */
interface TrainedSlab extends HeldSlab {
  learning: TrainedVariables | null;
}

interface Learning {
  pass: [lossSum: Output, correct: Output];
  update: Output;
  adamw: AdamWConstants;
  weightDecay: number;
}

export class CompiledModel implements LearningModel {
  readonly config: ModelConfig;
  readonly tuning: ResolvedTuning;
  readonly trainable: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  readonly trainableParameters: number;
  readonly totalParameters: number;
  readonly #trainsHead: boolean;
  readonly #recorder: Recorder;
  readonly #session: GraphSession;
  readonly #base: readonly HeldSlab[];
  readonly #trained: readonly TrainedSlab[];
  readonly #evaluation: [lossSum: Output, correct: Output];
  readonly #logits: Output;
  readonly #learning: Learning | null;
  #steps = 0;

  constructor({ config, readWeight, tuning, seed, precision, heldIn, learning }: CompileOptions) {
    this.config = config;
    this.tuning = tuning ?? { type: 'full' };
    this.#trainsHead = tuning?.type === 'full';
    const recorder = new Recorder(precision);
    this.#recorder = recorder;
    const { graph } = recorder;
    const shapes = weightShapes(config);
    const { names } = config;
    const typeOf = ({ name }: Slab) => (heldIn === 'bf16' && tuning?.type !== 'full' && name !== VECTORS ? DType.bfloat16 : DType.float32);
    const base = slabsOf(shapes, names.blocks).map((slab): HeldSlab => {
      const variable = sessionVariable(graph, `base/${slab.name}`, slab.shape, { dtype: typeOf(slab) });
      return { slab, variable };
    });
    this.#base = base;
    const stand = tensorsIn(recorder, base); // names and shapes, no numbers
    const trained = tune(recorder, stand, { config, tuning, seed });
    const trainedShapes = [...trained.trainable].map(([name, { shape }]) => [name, shape] as const);
    this.#trained =
      tuning?.type === 'full'
        ? base.map((held) => ({ ...held, learning: learning && learnt(graph, held) }))
        : slabsOf(trainedShapes, names.blocks).map((slab) => {
            const held = { slab, variable: sessionVariable(graph, `trained/${slab.name}`, slab.shape) };
            return { ...held, learning: learning && learnt(graph, held) };
          });
    const adapter = tuning?.type === 'lora' ? tensorsIn(recorder, this.#trained) : new Map<string, Tensor>();
    for (const [name, tensor] of adapter) recorder.bind(trained.trainable.get(name)!, recorder.outputOf(tensor));
    this.trainable = new Map(trainedShapes.map(([name, shape]) => [name, { shape }]));
    this.trainableParameters = sizeOf(trainedShapes);
    this.totalParameters = sizeOf(shapes) + (tuning?.type === 'lora' ? this.trainableParameters : 0);

    const feeds = feedsOfPass(recorder, config, {
      fixedSizes: fixedSizes(config, [...base, ...this.#trained]),
      trainedHead: this.#trainsHead,
    });
    const pass = { config, parameters: trained.parameters() };
    const evaluation = recordPass(recorder, feeds, { ...pass, trainable: new Map() });
    this.#evaluation = [evaluation.lossSum, evaluation.correct];
    this.#logits = recordLogits(recorder, feeds, pass);
    this.#learning = null;
    if (learning !== null) {
      const adamw = { betas: BETAS, epsilon: EPSILON, decays: learning.weightDecay !== 0 };
      const { lossSum, correct, gradients } = recordPass(recorder, feeds, {
        config,
        parameters: trained.parameters(feeds.dropoutKey),
        trainable: trained.trainable,
        checkpointing: learning.gradientCheckpointing ?? false,
      });
      const summed = this.#trained.map(({ slab, learning }) => addTo(recorder, learning!.gradients, { slab, gradients }));
      const after = graph.add('Identity', { T: FLOAT }, [lossSum], [lossSum], { name: 'training', after: summed, stateful: true }).outputs[0]!;
      const update = recordUpdate(
        recorder,
        this.#trained.map(({ learning }) => learning!),
        adamw,
      );
      this.#learning = { pass: [after, correct], update, adamw, weightDecay: learning.weightDecay };
    }

    const first = tuning?.type === 'lora' ? new Map([...trained.trainable].map(([name, variable]) => [name, variable.dataSync<'float32'>()])) : null;
    recorder.record(() => tf.dispose([...stand.values(), ...adapter.values(), ...trained.trainable.values()]));
    recorder.dispose();
    if (!backend.isUsingGpuDevice) fuseRows(graph, this.#runs());
    this.#session = new GraphSession(graph, this.#allFetches());
    try {
      this.#assign(
        [...base.map((held) => ({ ...held, fill: readWeight })), ...(first === null ? [] : this.#values((name) => first.get(name)!))],
        this.#trained.flatMap(({ learning }) => (learning === null ? [] : [learning.m.zeroed, learning.v.zeroed, learning.gradients.zeroed])),
      );
    } catch (error) {
      this.#session.dispose();
      throw error;
    }
  }

  get steps(): number {
    return this.#steps;
  }

  evaluate(batch: Batch): Losses {
    return this.#pass(batch, this.#evaluation);
  }

  accumulate(batch: Batch, position: DropoutPosition): Losses {
    return this.#pass(batch, this.#mustLearn().pass, position);
  }

  update({ learningRate, maxNorm, tokens }: Update): number {
    const { update, adamw, weightDecay } = this.#mustLearn();
    this.#steps += 1;
    return tf.tidy(() => {
      const scalars = updateScalars({ t: this.#steps, learningRate, maxNorm, tokens, weightDecay }, adamw);
      const feeds = Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, tf.scalar(value)]));
      return this.#session.run(feeds, [update])[0]!.dataSync()[0]!;
    }) as unknown as number;
  }

  /** Where a pass's time goes. Its gradients are added to those before, as `accumulate` does. */
  profile(batch: Batch, position: DropoutPosition): TimedOperation[] {
    const sizes: Record<string, number> = {
      [FEEDS.rows]: batch.rows,
      [FEEDS.length]: batch.length,
      [FEEDS.supervisedCount]: supervisedPositions(batch).targets.length,
    };
    const actual = (size: number): number => this.#recorder.actualSize(size, sizes);
    return profile(() => this.accumulate(batch, position), { nodes: this.#recorder.graph.nodes, actual });
  }

  nextTokenLogits(inputIds: Int32Array): Float32Array {
    return this.#logitsAt(inputIds, Int32Array.of(inputIds.length - 1));
  }

  /** @returns [length, vocab], row-major */
  allLogits(inputIds: Int32Array): Float32Array {
    return this.#logitsAt(
      inputIds,
      inputIds.map((_, position) => position),
    );
  }

  read(): Map<string, TensorValues> {
    const [values] = this.#fetch(this.#trained.map(({ variable }) => [variable]));
    return new Map([...this.trainable].map(([name, { shape }]) => [name, { shape, data: values!.get(name)! }]));
  }

  assign(values: ReadonlyMap<string, Float32Array>): void {
    this.#assign(this.#values((name) => values.get(name)!));
  }

  moments(): Map<string, MomentValues> {
    this.#mustLearn();
    const [m, v] = this.#fetch(this.#trained.map(({ learning }) => [learning!.m, learning!.v]));
    return new Map([...this.trainable.keys()].map((name) => [name, { m: m!.get(name)!, v: v!.get(name)! }]));
  }

  /** Of the loss summed since the last update, by parameter. */
  gradients(): Map<string, Float32Array> {
    this.#mustLearn();
    const [gradients] = this.#fetch(this.#trained.map(({ learning }) => [learning!.gradients]));
    return gradients!;
  }

  restore(steps: number, parameters: ReadonlyMap<string, Float32Array>, moments: ReadonlyMap<string, MomentValues>): void {
    this.#mustLearn();
    this.#assign([
      ...this.#values((name) => parameters.get(name)!),
      ...this.#values((name) => moments.get(name)!.m, 'm'),
      ...this.#values((name) => moments.get(name)!.v, 'v'),
    ]);
    this.#steps = steps;
  }

  dispose(): void {
    this.#session.dispose();
  }

  #mustLearn(): Learning {
    if (this.#learning === null) throw new Error('this model was opened for inference');
    return this.#learning;
  }

  /** What is computed in one run each. */
  #runs(): Output[][] {
    return [this.#evaluation, [this.#logits], ...(this.#learning === null ? [] : [this.#learning.pass, [this.#learning.update]])];
  }

  /** Everything that will be asked of the session. */
  #allFetches(): Output[] {
    const held = [...this.#base, ...this.#trained].flatMap(({ variable }) => [variable.exactValue, variable.assigned]);
    const state = this.#trained.flatMap(({ learning }) => (learning === null ? [] : [learning.m, learning.v, learning.gradients]));
    const ofState = state.flatMap(({ value, assigned, zeroed }) => [value, assigned, zeroed]);
    return [...this.#runs().flat(), ...held, ...ofState];
  }

  /** @param part what of the trained slabs is given: themselves, or what the optimizer keeps */
  #values(valuesOf: (name: string) => Float32Array, part?: 'm' | 'v'): FilledSlab[] {
    const fill: Fill = (name, held) => held.set(valuesOf(name));
    return this.#trained.map(({ slab, variable, learning }) => ({ slab, variable: part === undefined ? variable : learning![part], fill }));
  }

  #assign(given: readonly FilledSlab[], alsoFetched: readonly Output[] = []): void {
    tf.tidy(() => {
      const feeds = given.map(({ slab, variable, fill }) => {
        const content = laidOut(slab, fill, givenClass(variable));
        return [`${variable.name}/given`, uploaded(asGiven(variable, content))];
      });
      this.#session.run(Object.fromEntries(feeds), [...given.map(({ variable }) => variable.assigned), ...alsoFetched]);
    });
  }

  /** @returns for each variable of a slab, all slabs' values by name */
  #fetch(variables: readonly (readonly SessionVariable[])[]): Map<string, Float32Array>[] {
    const tensors = this.#session.run(
      {},
      variables.flatMap((ofSlab) => ofSlab.map(({ value }) => value)),
    );
    const contents = tensors.map((tensor) => tensor.dataSync<'float32'>());
    tf.dispose(tensors);
    const each = variables[0]?.length ?? 0;
    return Array.from({ length: each }, (_, kind) => {
      const parts = this.#trained.flatMap(({ slab }, index) => [...partsOf(slab, contents[index * each + kind]!)]);
      return new Map(parts);
    });
  }

  #logitsAt(inputIds: Int32Array, positions: Int32Array): Float32Array {
    return tf.tidy(() => {
      const feeds = { ...this.#gridFeeds({ rows: 1, length: inputIds.length, inputIds }), [FEEDS.supervised]: tf.tensor1d(positions, 'int32') };
      return this.#session.run(feeds, [this.#logits])[0]!.dataSync<'float32'>();
    }) as unknown as Float32Array;
  }

  #pass(batch: Batch, fetches: Output[], position?: DropoutPosition): Losses {
    const supervised = supervisedPositions(batch);
    const supervisedTokens = supervised.targets.length;
    if (supervisedTokens === 0) return { lossSum: 0, correct: 0, supervisedTokens };
    return tf.tidy(() => {
      const values = this.#session.run(this.#feeds(batch, supervised, position), fetches);
      const [lossSum, correct] = values.map((tensor) => tensor.dataSync()[0]!) as [number, number];
      return { lossSum, correct, supervisedTokens };
    }) as unknown as Losses;
  }

  #feeds(batch: Batch, { positions, targets }: SupervisedPositions, position?: DropoutPosition): Record<string, Tensor> {
    const sizes = partSizes(targets.length, { vocabSize: this.config.vocabSize, trainedHead: this.#trainsHead });
    return {
      ...this.#gridFeeds(batch),
      [FEEDS.supervised]: tf.tensor1d(positions, 'int32'),
      [FEEDS.targets]: tf.tensor1d(targets, 'int32'),
      [FEEDS.supervisedCount]: tf.scalar(targets.length, 'int32'),
      [FEEDS.partSizes]: tf.tensor1d(sizes, 'int32'),
      ...(position === undefined ? {} : { [FEEDS.dropoutKey]: dropoutKey(position) }),
    };
  }

  #gridFeeds(content: GridContent): Record<string, Tensor> {
    const grid = tokenGrid(content, this.config);
    const frequencies = rotariesOf(this.config).map((rotary, index) => [FEEDS.frequencies(index), grid.frequencies.get(rotary)!]);
    return {
      [FEEDS.rows]: tf.scalar(content.rows, 'int32'),
      [FEEDS.length]: tf.scalar(content.length, 'int32'),
      [FEEDS.inputIds]: grid.inputIds,
      [FEEDS.positions]: grid.positions,
      [FEEDS.segments]: grid.segments,
      ...Object.fromEntries(frequencies),
    };
  }
}

function learnt(graph: Graph, { slab, variable: parameter }: HeldSlab): TrainedVariables {
  const made = (part: string) => sessionVariable(graph, `${part}/${slab.name}`, slab.shape);
  return { parameter, m: made('m'), v: made('v'), gradients: made('gradients') };
}

/** @returns stands for all tensors of the slabs by name; the caller's */
function tensorsIn(recorder: Recorder, held: readonly HeldSlab[]): Map<string, Tensor> {
  const parts = held.flatMap(({ slab, variable }) => {
    const whole = recorder.tensor(variable.value) as Tensor2D;
    return Object.entries(recorder.record(() => tf.tidy(() => Object.fromEntries(split(whole, slab)))));
  });
  return new Map(parts);
}

function tune(recorder: Recorder, stand: Map<string, Tensor>, { config, tuning, seed }: Pick<CompileOptions, 'config' | 'tuning' | 'seed'>): Trained {
  if (tuning === null) return trainNothing(stand, config);
  // An adapter's first values are real.
  return tuning.type === 'lora' ? trainLora(stand, { config, tuning, seed }) : recorder.record(() => trainAll(stand, config));
}

/** Every size in a model's tensors, for sizes that vary to be told from. */
function fixedSizes({ heads, kvHeads, headSize }: ModelConfig, held: readonly HeldSlab[]): number[] {
  const ofSlabs = held.flatMap(({ slab: { shape, parts } }) => [
    ...shape,
    parts.length,
    ...parts.flatMap((part) => [...part.shape, part.size, part.rows]),
  ]);
  return [...ofSlabs, heads, kvHeads, heads / kvHeads, headSize];
}

/** @returns the node that adds a pass's gradients to a slab's */
function addTo(recorder: Recorder, { handle }: SessionVariable, { slab, gradients }: { slab: Slab; gradients: ReadonlyMap<string, Output> }) {
  let joined: Output | undefined;
  recorder.record(() =>
    tf.tidy(() => {
      joined = recorder.outputOf(join(slab, (name) => recorder.tensor(gradients.get(name)!)));
    }),
  );
  return recorder.graph.add('AssignAddVariableOp', { dtype: FLOAT }, [handle, joined!], [], { stateful: true });
}

function sizeOf(shapes: Iterable<readonly [string, readonly number[]]>): number {
  let sum = 0;
  for (const [, shape] of shapes) sum += shape.reduce((product, length) => product * length, 1);
  return sum;
}

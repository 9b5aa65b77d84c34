/** A whole model as one graph: its weights' variables, evaluation, logits, and where it learns the passes and steps that teach it. Nothing is computed yet. */

import type { Precision } from '../../../src/formats/hyperparameters.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning.ts';
import { weightShapes } from '../model/module-shapes.ts';
import { type Tensor, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { trainLora } from '../tuning/lora.ts';
import { type Trained, trainAll, trainNothing } from '../tuning/trained.ts';
import { type AdamWConstants, recordUpdate, type TrainedVariables } from './adamw-update.ts';
import { feedsOfPass, recordLogits, recordPass } from './recorded-pass.ts';
import { type Attribute, DType, type Graph, type Output } from './recording/graph.ts';
import { Recorder } from './recording/recorder.ts';
import { type SessionVariable, sessionVariable } from './session/session-variable.ts';
import { join, type Slab, slabsOf, split, VECTORS } from './slab.ts';

const FLOAT: Attribute = { kind: 'type', value: DType.float32 };
const BETAS = [0.9, 0.999] as const;
const EPSILON = 1e-8;

export interface ModelChoices {
  config: ModelConfig;
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
export interface HeldSlab {
  slab: Slab;
  variable: SessionVariable;
}

/** What is trained, and what its optimizer keeps. */
export interface TrainedSlab extends HeldSlab {
  learning: TrainedVariables | null;
}

export interface Learning {
  pass: [lossSum: Output, correct: Output];
  update: Output;
  adamw: AdamWConstants;
  weightDecay: number;
}

export interface RecordedModel {
  recorder: Recorder;
  base: readonly HeldSlab[];
  trained: readonly TrainedSlab[];
  /** Shapes by name. */
  trainable: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  trainableParameters: number;
  totalParameters: number;
  /** An adapter's first values by name; null where what is trained is read with the base. */
  first: ReadonlyMap<string, Float32Array> | null;
  evaluation: [lossSum: Output, correct: Output];
  logits: Output;
  learning: Learning | null;
}

export function recordModel({ config, tuning, seed, precision, heldIn, learning }: ModelChoices): RecordedModel {
  const recorder = new Recorder(precision);
  const { graph } = recorder;
  const shapes = weightShapes(config);
  const { blocks } = config.names;
  const typeOf = ({ name }: Slab) => (heldIn === 'bf16' && tuning?.type !== 'full' && name !== VECTORS ? DType.bfloat16 : DType.float32);
  const base = slabsOf(shapes, blocks).map((slab): HeldSlab => {
    const variable = sessionVariable(graph, `base/${slab.name}`, slab.shape, { dtype: typeOf(slab) });
    return { slab, variable };
  });
  const stand = tensorsIn(recorder, base); // names and shapes, no numbers
  const tuned = tune(recorder, stand, { config, tuning, seed });
  const trainedShapes = [...tuned.trainable].map(([name, { shape }]) => [name, shape] as const);
  const held =
    tuning?.type === 'full'
      ? base
      : slabsOf(trainedShapes, blocks).map((slab): HeldSlab => ({ slab, variable: sessionVariable(graph, `trained/${slab.name}`, slab.shape) }));
  const trained = held.map((slab): TrainedSlab => ({ ...slab, learning: learning && learnt(graph, slab) }));
  const adapter = tuning?.type === 'lora' ? tensorsIn(recorder, trained) : new Map<string, Tensor>();
  for (const [name, tensor] of adapter) recorder.bind(tuned.trainable.get(name)!, recorder.outputOf(tensor));

  const feeds = feedsOfPass(recorder, config, { fixedSizes: fixedSizes(config, [...base, ...trained]), trainedHead: tuning?.type === 'full' });
  const pass = { config, parameters: tuned.parameters() };
  const evaluation = recordPass(recorder, feeds, { ...pass, trainable: new Map() });
  const logits = recordLogits(recorder, feeds, pass);
  let learns: Learning | null = null;
  if (learning !== null) {
    const { weightDecay, gradientCheckpointing: checkpointing = false } = learning;
    const adamw = { betas: BETAS, epsilon: EPSILON, decays: weightDecay !== 0 };
    const parameters = tuned.parameters(feeds.dropoutKey);
    const { lossSum, correct, gradients } = recordPass(recorder, feeds, { config, parameters, trainable: tuned.trainable, checkpointing });
    const summed = trained.map(({ slab, learning }) => addTo(recorder, learning!.gradients, { slab, gradients }));
    const after = graph.add('Identity', { T: FLOAT }, [lossSum], [lossSum], { name: 'training', after: summed, stateful: true }).outputs[0]!;
    const states = trained.map(({ learning }) => learning!);
    learns = { pass: [after, correct], update: recordUpdate(recorder, states, adamw), adamw, weightDecay };
  }

  const first = tuning?.type === 'lora' ? new Map([...tuned.trainable].map(([name, variable]) => [name, variable.dataSync<'float32'>()])) : null;
  recorder.record(() => tf.dispose([...stand.values(), ...adapter.values(), ...tuned.trainable.values()]));
  recorder.dispose();
  const trainableParameters = sizeOf(trainedShapes);
  return {
    recorder,
    base,
    trained,
    trainable: new Map(trainedShapes.map(([name, shape]) => [name, { shape }])),
    trainableParameters,
    totalParameters: sizeOf(shapes) + (tuning?.type === 'lora' ? trainableParameters : 0),
    first,
    evaluation: [evaluation.lossSum, evaluation.correct],
    logits,
    learning: learns,
  };
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

function tune(recorder: Recorder, stand: Map<string, Tensor>, { config, tuning, seed }: Pick<ModelChoices, 'config' | 'tuning' | 'seed'>): Trained {
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

/** Records a base model once, with the adapters of several runs beside it: what any of them computes, one training pass for all, and an update of each. */
import type { Precision } from '../../../../src/formats/hyperparameters.ts';
import type { ModelConfig } from '../../../../src/formats/model-config.ts';
import { weightShapes } from '../../../../src/formats/module-shapes.ts';
import { momentsIn8Bits, type Optim } from '../../../../src/formats/optimizer.ts';
import type { Quantization } from '../../../../src/formats/quantization.ts';
import type { Objective, ObjectiveContext } from '../../objectives/objective.ts';
import { type Tensor1D, tf } from '../../tensorflow/tensorflow.ts';
import { joinAdapters, type LoraMember } from '../../tuning/lora-together.ts';
import { declareUpdateFeeds, recordUpdate } from '../adamw-update.ts';
import type { LearnerParts, TrainedSlab } from '../learner.ts';
import { declareFeeds } from '../pass-feeds.ts';
import { dividedByQuantization, holdQuantized, quantizedSizes, quantizedTensors } from '../quantized-weights.ts';
import { type RecordedPass, recordLogits, recordPass } from '../recorded-pass.ts';
import {
  addTo,
  fixedSizes,
  type HeldIn,
  holdFrozen,
  holdTrained,
  lossWithGradients,
  rateFactorOf,
  type Shapes,
  sizeOf,
  tensorsIn,
  trainedVariables,
} from '../recorded-slabs.ts';
import type { Graph, Output } from '../recording/graph.ts';
import { Recorder } from '../recording/recorder.ts';
import type { HeldSlab } from '../session/held-slabs.ts';

/** [rows · length] int32: the member that each token belongs to. */
export const OWNERS = 'owners';

export interface MemberChoices extends LoraMember {
  weightDecay: number;
  /** Default: AdamW with moments in f32. */
  optim?: Optim;
}

export interface SharedChoices {
  config: ModelConfig;
  /** With `sumsOf`. */
  objective: Objective;
  members: readonly MemberChoices[];
  /** Precision of products. */
  precision: Precision;
  heldIn: HeldIn;
  /** How frozen matrices of linear layers are held instead; default null: they are not quantised. */
  quantization?: Quantization | null;
  gradientCheckpointing: boolean;
}

export interface RecordedMember extends LearnerParts {
  /** Initial values of what is trained. */
  initial: ReadonlyMap<string, Float32Array>;
  trainableParameters: number;
}

export interface RecordedMembers {
  graph: Graph;
  frozen: readonly HeldSlab[];
  /** Of the base's weights, those that are held quantised. */
  quantized: readonly HeldSlab[];
  members: readonly RecordedMember[];
  baseParameters: number;
  context: ObjectiveContext;
  evaluation: Pick<RecordedPass, 'sums' | 'tokens'>;
  logits: Output;
  /** Also adds the gradients. */
  training: Pick<RecordedPass, 'sums' | 'tokens'>;
}

export function recordMembers({
  config,
  objective,
  members,
  precision,
  heldIn,
  quantization = null,
  gradientCheckpointing,
}: SharedChoices): RecordedMembers {
  const recorder = new Recorder(precision);
  const { graph } = recorder;
  const { blocks } = config.names;
  const shapes: Shapes = [...weightShapes(config)];
  const { quantized: quantizedShapes, others } = dividedByQuantization(shapes, { config, quantization });
  const frozen = holdFrozen(graph, others, { blocks, heldIn });
  const quantized = holdQuantized(
    graph,
    quantizedShapes.map(([name]) => name),
    { config, quantization },
  );
  const weights = new Map([...tensorsIn(recorder, frozen), ...quantizedTensors(recorder, quantized, { config, quantization })]); // names and shapes without values
  const joined = joinAdapters(weights, config, members);

  const held = joined.trainable.map((trainable, member) => {
    const { tuning, optim = 'adamw_torch' } = members[member]!;
    const in8Bits = momentsIn8Bits(optim, config);
    const added: Shapes = [...trainable].map(([name, { shape }]) => [name, shape]);
    const factorOf = (name: string, shape: readonly number[]): number => rateFactorOf(tuning, name, shape);
    const trained = holdTrained(graph, added, { prefix: `member-${member}`, blocks, factorOf, in8Bits }).map(
      (slab): TrainedSlab => ({ ...slab, learning: trainedVariables(graph, slab, { factorOf, in8Bits, byOwnKernel: optim === 'adamw_8bit' }) }),
    );
    const tensors = tensorsIn(recorder, trained);
    for (const [name, tensor] of tensors) recorder.bind(trainable.get(name)!, recorder.outputOf(tensor));
    return { trained, tensors, size: sizeOf(added) };
  });

  const context: ObjectiveContext = { config, trainsHead: false };
  const feeds = declareFeeds(recorder, {
    ...context,
    objective,
    fixedSizes: [
      ...fixedSizes(config, [...frozen, ...quantized, ...held.flatMap(({ trained }) => trained)]),
      ...quantizedSizes(quantized, config),
      ...rankSums(members),
    ],
  });
  const owners = recorder.feed(OWNERS, 'int32', feeds.grid.inputIds.shape) as Tensor1D;
  const parameters = () => joined.parameters(owners);
  const evaluation = recordPass(recorder, feeds, { config, objective, parameters: parameters(), trainable: new Map(), perToken: true });
  const logits = recordLogits(recorder, feeds, { config, parameters: parameters() });

  const trainable = new Map(joined.trainable.flatMap((own, member) => [...own].map(([name, variable]) => [nameOf(member, name), variable] as const)));
  const options = { config, objective, parameters: parameters(), trainable, checkpointing: gradientCheckpointing, perToken: true };
  const { sums, tokens, gradients } = recordPass(recorder, feeds, options);
  const additions = held.flatMap(({ trained }, member) => {
    const own = new Map([...joined.trainable[member]!.keys()].map((name) => [name, gradients.get(nameOf(member, name))!]));
    return trained.map(({ slab, learning }) => addTo(recorder, learning!.gradients, { slab, gradients: own }));
  });
  const loss = lossWithGradients(graph, sums['loss']!, additions);

  const updateFeeds = declareUpdateFeeds(recorder);
  const recorded = held.map(({ trained, size }, member): RecordedMember => {
    const { weightDecay } = members[member]!;
    const states = trained.map(({ learning }) => learning!);
    const update = recordUpdate(recorder, updateFeeds, states, { weightDecay, name: `update-${member}` });
    const own = joined.trainable[member]!;
    return {
      trained,
      trainable: new Map([...own].map(([name, { shape }]) => [name, { shape }])),
      optimizer: { update, weightDecay },
      initial: new Map([...own].map(([name, variable]) => [name, variable.dataSync<'float32'>()])),
      trainableParameters: size,
    };
  });

  const tensors = [weights, ...held.map(({ tensors }) => tensors), ...joined.trainable].flatMap((named) => [...named.values()]);
  recorder.record(() => tf.dispose(tensors));
  recorder.dispose();
  return {
    graph,
    frozen,
    quantized,
    members: recorded,
    baseParameters: sizeOf(shapes),
    context,
    evaluation,
    logits,
    training: { sums: { ...sums, loss }, tokens },
  };
}

/** Unique among all members. */
const nameOf = (member: number, name: string): string => `${member}/${name}`;

/** The sizes that ranks of several members can add up to, in one layer or in a few with the same input. */
function rankSums(members: readonly LoraMember[]): number[] {
  const most = Math.max(...members.map(({ tuning }) => Math.max(tuning.r, ...Object.values(tuning.rank_pattern ?? {}))));
  return Array.from({ length: members.length * most * LAYERS_OF_AN_INPUT }, (_, index) => index + 1);
}

/** As many layers read the same input: q, k and v, or gate and up. */
const LAYERS_OF_AN_INPUT = 3;

/** The slabs of a model that is being recorded: their variables in the session, and their tensors for the code that is recorded. */
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { isDeltaNet, isMamba, isSoftmax } from '../../../src/formats/mixers.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import { decays } from '../optim/weight-decay.ts';
import { type Tensor, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { methodOf } from '../tuning/methods.ts';
import type { TrainedVariables } from './adamw-update.ts';
import { momentVariables } from './moments.ts';
import { type Attribute, DType, type Graph, type GraphNode, type Output } from './recording/graph.ts';
import type { Recorder } from './recording/recorder.ts';
import type { HeldSlab } from './session/held-slabs.ts';
import { type SessionVariable, sessionVariable, type VariableType } from './session/session-variable.ts';
import { join, type Slab, type SlabPart, slabsOf, split } from './slab.ts';

const FLOAT: Attribute = { kind: 'type', value: DType.float32 };

/** Shapes of tensors, by name. */
export type Shapes = readonly (readonly [string, readonly number[]])[];

interface HoldOptions {
  prefix: string;
  /** `ModelConfig.names.blocks` */
  blocks: string;
  /** Default: f32. */
  dtype?: VariableType;
}

/** Adds variables for tensors. */
export function holdSlabs(graph: Graph, shapes: Shapes, { prefix, blocks, dtype = DType.float32 }: HoldOptions): HeldSlab[] {
  return slabsOf(shapes, blocks).map((slab) => ({
    slab,
    variable: sessionVariable(graph, `${prefix}/${slab.name}`, slab.shape, { dtype }),
  }));
}

/** The precision in which a frozen weight is held. */
export type HeldIn = (name: string) => Precision;

/** Adds variables for frozen weights. Vectors are held in f32 whatever the precision. */
export function holdFrozen(graph: Graph, shapes: Shapes, { blocks, heldIn }: { blocks: string; heldIn: HeldIn }): HeldSlab[] {
  const isInBf16 = ([name, shape]: Shapes[number]): boolean => shape.length > 1 && heldIn(name) === 'bf16';
  return [
    ...holdSlabs(graph, shapes.filter(isInBf16), { prefix: 'frozen-bf16', blocks, dtype: DType.bfloat16 }),
    ...holdSlabs(
      graph,
      shapes.filter((weight) => !isInBf16(weight)),
      { prefix: 'frozen', blocks },
    ),
  ];
}

/** What the learning rate of a trained tensor is multiplied by. */
export const rateFactorOf = (tuning: ResolvedTuning, name: string, shape: readonly number[]): number =>
  methodOf(tuning).rateFactor?.(name, { shape, tuning }) ?? 1;

interface AddedOptions {
  prefix: string;
  blocks: string;
  factorOf: Rates;
  /** Whether a tensor's moments are held in 8 bits; default: none are. */
  in8Bits?: In8Bits;
}

type Rates = (name: string, shape: readonly number[]) => number;
export type In8Bits = (name: string, shape: readonly number[]) => boolean;

const inF32: In8Bits = () => false;

/** Adds variables for what is trained. A slab is updated as a whole: at one rate, with moments of one kind. */
export function holdTrained(graph: Graph, shapes: Shapes, { prefix, blocks, factorOf, in8Bits = inF32 }: AddedOptions): HeldSlab[] {
  const kinds = new Map<string, [string, readonly number[]][]>();
  for (const [name, shape] of shapes) {
    const factor = factorOf(name, shape);
    const kind = [prefix, ...(factor === 1 ? [] : [factor]), ...(in8Bits(name, shape) ? ['8bit'] : [])].join('-');
    kinds.set(kind, [...(kinds.get(kind) ?? []), [name, shape]]);
  }
  return [...kinds].flatMap(([kind, members]) => holdSlabs(graph, members, { prefix: kind, blocks }));
}

/** Adds the state of a slab's optimizer. */
export function trainedVariables(
  graph: Graph,
  { slab, variable: parameter }: HeldSlab,
  { factorOf, in8Bits = inF32, byOwnKernel = false }: Pick<AddedOptions, 'factorOf' | 'in8Bits'> & { byOwnKernel?: boolean },
): TrainedVariables {
  // A slab holds either matrices or vectors, of the base or of what a method adds, which all learn at one rate.
  const everyDecays = slab.parts.every(({ name, shape }) => decays(shape, name));
  const [{ name, shape }] = slab.parts as readonly [SlabPart];
  const moment = (kind: string) => momentVariables(graph, `${parameter.name}/${kind}`, { slab, in8Bits: in8Bits(name, shape) });
  return {
    parameter,
    sizes: slab.parts.map(({ size }) => size),
    m: moment('m'),
    v: moment('v'),
    byOwnKernel,
    gradients: sessionVariable(graph, `${parameter.name}/gradients`, slab.shape),
    decays: everyDecays,
    rateFactor: factorOf(name, shape),
  };
}

/** @returns recorded tensors for all parts of the slabs, by name; owned by the caller */
export function tensorsIn(recorder: Recorder, held: readonly HeldSlab[]): Map<string, Tensor> {
  const parts = held.flatMap(({ slab, variable }) => {
    const whole = recorder.tensor(variable.value) as Tensor2D;
    return Object.entries(recorder.record(() => tf.tidy(() => Object.fromEntries(split(whole, slab)))));
  });
  return new Map(parts);
}

/** Every size in a model's tensors; the primes of sizes that vary must divide none of them. */
export function fixedSizes({ heads, kvHeads, headSize, mixers, experts }: ModelConfig, held: readonly HeldSlab[]): number[] {
  const slabSizes = held.flatMap(({ slab: { shape, parts } }) => [
    ...shape,
    parts.length,
    ...parts.flatMap((part) => [...part.shape, part.size, part.rows]),
  ]);
  const ofLayers = mixers
    .filter(isSoftmax)
    .flatMap(({ sizes }) => (sizes === undefined ? [] : [sizes.kvHeads, sizes.headSize, heads / sizes.kvHeads]));
  const ofDeltaNets = mixers.filter(isDeltaNet).flatMap(({ keyHeads, valueHeads, keySize, valueSize }) => [keyHeads, valueHeads, keySize, valueSize]);
  const ofMambas = mixers.filter(isMamba).flatMap(({ groups, heads, stateSize, headSize }) => [groups, heads, stateSize, headSize]);
  const ofExperts = experts === undefined ? [] : [experts.count, experts.perToken];
  return [...slabSizes, ...ofExperts, heads, kvHeads, heads / kvHeads, headSize, ...new Set(ofDeltaNets), ...new Set(ofMambas), ...new Set(ofLayers)];
}

/** @returns the node that adds a pass's gradients to the sum of a slab */
export function addTo(recorder: Recorder, { handle }: SessionVariable, { slab, gradients }: { slab: Slab; gradients: ReadonlyMap<string, Output> }) {
  let joined: Output | undefined;
  recorder.record(() =>
    tf.tidy(() => {
      joined = recorder.outputOf(join(slab, (name) => recorder.tensor(gradients.get(name)!)));
    }),
  );
  return recorder.graph.add('AssignAddVariableOp', { dtype: FLOAT }, [handle, joined!], [], { stateful: true });
}

/** @returns a pass's loss, whose fetching also adds its gradients. @param additions the nodes of `addTo` */
export const lossWithGradients = (graph: Graph, loss: Output, additions: GraphNode[]): Output =>
  graph.add('Identity', { T: FLOAT }, [loss], [loss], { name: 'training', after: additions, stateful: true }).outputs[0]!;

export const sizeOf = (shapes: Shapes): number => shapes.reduce((sum, [, shape]) => sum + shapeSize(shape), 0);

import { afterEach, describe, expect, it } from 'vitest';
import { largest, largestDifference, readReference, referencePath, relativeWalk } from '../../../../reference/fixtures.ts';
import { momentsIn8Bits } from '../../../../src/formats/optimizer.ts';
import { declareUpdateFeeds, recordUpdate } from '../../../../workers/engine/compiled/adamw-update.ts';
import { stateFetches } from '../../../../workers/engine/compiled/fetches.ts';
import { Learner, type TrainedSlab, zeroedState } from '../../../../workers/engine/compiled/learner.ts';
import { openForTraining } from '../../../../workers/engine/compiled/open-model.ts';
import { addTo, holdTrained, type Shapes, trainedVariables } from '../../../../workers/engine/compiled/recorded-slabs.ts';
import { DType, type Output } from '../../../../workers/engine/compiled/recording/graph.ts';
import { Recorder } from '../../../../workers/engine/compiled/recording/recorder.ts';
import { assignSlabs } from '../../../../workers/engine/compiled/session/held-slabs.ts';
import { GraphSession } from '../../../../workers/engine/compiled/session/session.ts';
import { readSafetensors } from '../../../../workers/engine/io/safetensors.ts';
import { backend } from '../../../../workers/engine/tensorflow/backend.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import type { CodedMoment, MomentValues } from '../../../../workers/engine/tuning/tuned-model.ts';

/** In the model's slabs: `matrix` and `small` in one block, so with moments of both kinds; the vector with others. */
const NAMES = { matrix: 'model.layers.0.a.weight', small: 'model.layers.0.b.weight', vector: 'model.norm.weight' } as const;
type Name = keyof typeof NAMES;
const SHAPES: Record<Name, readonly number[]> = { matrix: [66, 67], small: [8, 9], vector: [4100] };
const settings = readReference<{ learningRate: number; weightDecay: number; steps: number }>('adamw-8bit', 'settings.json');
const reference = readSafetensors(referencePath('adamw-8bit', 'ten-steps.safetensors'));

/** A learner of the three tensors whose gradients are fed. */
function learning(optim: 'adamw_torch' | 'adamw_8bit') {
  const recorder = new Recorder();
  const { graph } = recorder;
  const shapes: Shapes = (Object.keys(NAMES) as Name[]).map((name) => [NAMES[name], SHAPES[name]]);
  const config = { names: { embedding: 'model.embed_tokens', positions: null } } as Parameters<typeof momentsIn8Bits>[1];
  const options = { prefix: 'trained', blocks: 'model.layers', factorOf: () => 1, in8Bits: momentsIn8Bits(optim, config) };
  const trained = holdTrained(graph, shapes, options).map(
    (held): TrainedSlab => ({ ...held, learning: trainedVariables(graph, held, { ...options, byOwnKernel: optim === 'adamw_8bit' }) }),
  );
  const fed = new Map(shapes.map(([name, shape]) => [name, graph.placeholder(`${name}/gradient`, DType.float32, shape)] as [string, Output]));
  const additions = trained.map(({ slab, learning }) => addTo(recorder, learning!.gradients, { slab, gradients: fed }));
  const added = graph.add('Const', { dtype: { kind: 'type', value: DType.int32 }, value: { kind: 'tensor', value: zero } }, [], [zero], {
    name: 'added',
    after: additions,
    stateful: true,
  }).outputs[0]!;
  const { weightDecay } = settings;
  const states = trained.map(({ learning }) => learning!);
  const update = recordUpdate(recorder, declareUpdateFeeds(recorder), states, { weightDecay, name: 'update' });
  recorder.dispose();
  const session = new GraphSession(graph, [added, update.norm, update.step, ...stateFetches([], trained)]);
  const learner = new Learner(session, {
    trained,
    trainable: new Map(shapes.map(([name, shape]) => [name, { shape }])),
    optimizer: { update, weightDecay },
  });
  assignSlabs(
    session,
    learner.filledWith((name) => initial(name)),
  );
  session.zero(zeroedState(trained));
  const step = (number: number): void =>
    tf.tidy(() => {
      const feeds = Object.fromEntries(shapes.map(([name, shape]) => [`${name}/gradient`, tf.tensor(ofStep(number, 'gradient', name), [...shape])]));
      tf.dispose(session.run(feeds, [added]));
      learner.update({ learningRate: settings.learningRate, maxNorm: 0, weight: 1 });
    });
  return { learner, session, step };
}

const zero = { dtype: DType.int32, shape: [], bytes: new Uint8Array(4) };
const short = (name: string): Name => (Object.keys(NAMES) as Name[]).find((key) => NAMES[key] === name)!;
const initial = (name: string): Float32Array => reference.get(`initial.${short(name)}`)!.data as Float32Array;
const ofStep = (step: number, part: string, name: string): Float32Array => reference.get(`${step}.${part}.${short(name)}`)!.data as Float32Array;

let opened: ReturnType<typeof learning> | undefined;
const open = (optim: 'adamw_torch' | 'adamw_8bit') => {
  opened = learning(optim);
  return opened;
};
afterEach(() => opened?.session.dispose());

const coded = ({ m, v }: MomentValues): [CodedMoment, CodedMoment] => [m as CodedMoment, v as CodedMoment];
/** @returns how many codes are not the wanted ones, and the largest distance between two */
const differences = (codes: Uint8Array, wanted: ArrayLike<number>) => {
  const apart = Array.from(codes, (code, index) => Math.abs(code - wanted[index]!));
  return { count: apart.filter((distance) => distance > 0).length, farthest: Math.max(...apart) };
};

/** Of 8,522 codes. With every instruction set of x64 none differs; another order of rounding may move values that are as near to two codes. */
const TIES = 3;
const RELATIVE = 1e-6;

describe('AdamW with moments in 8 bits, over ten steps', () => {
  it.each(['matrix', 'vector'] as const)('of a %s with a short last block has the codes, scales and parameters that bitsandbytes has', (key) => {
    const { learner, step } = open('adamw_8bit');
    const name = NAMES[key];
    for (let number = 1; number <= settings.steps; number++) {
      step(number);
      if (number !== 1 && number !== settings.steps) continue;
      for (const [index, { codes, absmax }] of coded(learner.moments().get(name)!).entries()) {
        const kind = ['m', 'v'][index]!;
        const { count, farthest } = differences(codes, ofStep(number, kind, name));
        expect(count).toBeLessThanOrEqual(TIES);
        expect(farthest).toBeLessThanOrEqual(1);
        const scales = ofStep(number, `${kind}_absmax`, name);
        expect(absmax).toHaveLength(scales.length);
        expect(Math.max(...absmax.map((scale, block) => Math.abs(scale / scales[block]! - 1)))).toBeLessThan(RELATIVE);
      }
      expect(largestDifference(learner.read().get(name)!.data, ofStep(number, 'parameter', name))).toBeLessThan(RELATIVE * largest(initial(name)));
    }
  });

  it('of a matrix with fewer than 4,096 elements has the moments in f32 that bitsandbytes has', () => {
    const { learner, step } = open('adamw_8bit');
    for (let number = 1; number <= settings.steps; number++) step(number);
    const { m, v } = learner.moments().get(NAMES.small)! as { m: Float32Array; v: Float32Array };
    expect(relativeWalk(m, ofStep(settings.steps, 'm', NAMES.small), new Float32Array(m.length))).toBeLessThan(RELATIVE);
    // ResourceApplyAdam rounds 1 − β₂ to f32 after the subtraction.
    expect(relativeWalk(v, ofStep(settings.steps, 'v', NAMES.small), new Float32Array(v.length))).toBeLessThan(2e-5);
    expect(largestDifference(learner.read().get(NAMES.small)!.data, ofStep(settings.steps, 'parameter', NAMES.small))).toBeLessThan(1e-6);
  });
});

describe('a learner with moments in 8 bits', () => {
  it('that is set to the state of another takes the same steps, bit for bit', () => {
    const undisturbed = learning('adamw_8bit');
    const { learner, step } = open('adamw_8bit');
    try {
      for (const number of [1, 2, 3]) undisturbed.step(number);
      const parameters = new Map([...undisturbed.learner.read()].map(([name, { data }]) => [name, data]));
      learner.restore(undisturbed.learner.steps, parameters, undisturbed.learner.moments());
      for (const number of [4, 5]) {
        undisturbed.step(number);
        step(number);
      }
      expect(learner.read()).toEqual(undisturbed.learner.read());
      expect(learner.moments()).toEqual(undisturbed.learner.moments());
    } finally {
      undisturbed.session.dispose();
    }
  });
});

describe('openForTraining', () => {
  it('on a GPU with moments in 8 bits › refuses it by name', () => {
    const choices = { modelDir: referencePath('cases', 'llama-gqa-tied', 'model'), tuning: { type: 'full' }, seed: 0, weightDecay: 0 } as const;
    const { isUsingGpuDevice } = backend;
    backend.isUsingGpuDevice = true;
    try {
      expect(() => openForTraining({ ...choices, optim: 'adamw_8bit' })).toThrow(expect.objectContaining({ code: 'unsupported_optimizer' }));
    } finally {
      backend.isUsingGpuDevice = isUsingGpuDevice;
    }
  });
});

describe('momentsIn8Bits', () => {
  const names = { embedding: 'model.embed_tokens', positions: 'wpe', perLayerInputs: { embedding: 'model.embed_tokens_per_layer' } };
  const holds = momentsIn8Bits('adamw_8bit', { names } as unknown as Parameters<typeof momentsIn8Bits>[1]);
  it.each([
    ['model.layers.0.mlp.up_proj.weight', [64, 64], true],
    ['model.layers.0.mlp.up_proj.weight', [64, 63], false],
    ['lm_head.weight', [256, 64], true],
    ['model.embed_tokens.weight', [256, 64], false],
    ['base_model.model.model.embed_tokens.weight', [256, 64], false],
    ['model.embed_tokens_per_layer.weight', [256, 64], false],
    ['wpe.weight', [256, 64], false],
    ['prompt_embeddings', [256, 64], false],
    ['base_model.model.model.embed_tokens.lora_embedding_A', [16, 256], true],
  ])('of %s [%s] says %s, as bitsandbytes and the Trainer do', (name, shape, wanted) => {
    expect(holds(name, shape)).toBe(wanted);
  });
});

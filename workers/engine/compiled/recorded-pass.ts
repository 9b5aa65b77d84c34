/** Records one pass of a model over a batch of any size: the sums of its objective, and the gradients of what is trained. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { Decoder } from '../model/decoder.ts';
import type { Parameters } from '../model/parameters.ts';
import { softCapped } from '../objectives/cross-entropy.ts';
import type { ComputedSums, Forward, Objective } from '../objectives/objective.ts';
import { type Tensor, type Tensor2D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import type { PassFeeds } from './pass-feeds.ts';
import type { Output } from './recording/graph.ts';
import type { Recorder } from './recording/recorder.ts';
import { recompute } from './rewriting/recompute.ts';

export interface RecordedPass {
  /** `loss`, then the other sums that the objective computes. */
  sums: Readonly<Record<string, Output>>;
  /** `ComputedSums.tokens`; empty unless they are wanted. */
  tokens: Readonly<Record<string, Output>>;
  /** Gradients of the loss, by parameter; empty if nothing is trained. */
  gradients: ReadonlyMap<string, Output>;
}

interface PassOptions {
  config: ModelConfig;
  objective: Objective;
  parameters: Parameters;
  /** By name, bound to the recorder; if empty, the pass has no gradients. */
  trainable: ReadonlyMap<string, Variable>;
  /** Whether the backward pass computes a block's activations again instead of keeping them. */
  checkpointing?: boolean;
  /** Whether what each token adds to the sums is wanted. */
  perToken?: boolean;
}

export function recordPass(recorder: Recorder, feeds: PassFeeds, options: PassOptions): RecordedPass {
  const { config, objective, parameters, trainable, checkpointing = false, perToken = false } = options;
  const forward: Forward = { config, decoder: new Decoder(config), grid: feeds.grid, parameters };
  const compute = () => objective.compute(forward, feeds.objectiveInputs, { withGradient: trainable.size > 0, perToken });
  const outputsOf = (tensors: Record<string, Tensor>): Record<string, Output> =>
    Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, recorder.outputOf(tensor)]));
  let pass: RecordedPass | undefined;
  let begin = 0;
  recorder.record(() =>
    tf.tidy(() => {
      if (trainable.size === 0) {
        const { loss, others, tokens = {} } = compute();
        pass = { sums: outputsOf({ loss, ...others }), tokens: outputsOf(tokens), gradients: new Map() };
        return;
      }
      let kept: Required<Omit<ComputedSums, 'loss'>> = { others: {}, tokens: {} };
      const { value, grads } = tf.variableGrads(() => {
        const { loss, others, tokens = {} } = compute();
        kept = { others, tokens };
        begin = recorder.graph.nodes.length;
        return loss;
      }, [...trainable.values()]);
      const gradients = new Map([...trainable].map(([name, variable]) => [name, recorder.outputOf(grads[variable.name] as Tensor)]));
      pass = { sums: outputsOf({ loss: value, ...kept.others }), tokens: outputsOf(kept.tokens), gradients };
      tf.dispose(kept); // they outlive the tidy
    }),
  );
  if (trainable.size > 0) {
    const checkpoints = checkpointing ? recorder.checkpoints : null;
    recompute(recorder.graph, { begin, end: recorder.graph.nodes.length, checkpoints });
  }
  return pass!;
}

/** @returns what the objective compares the model with, if it does so */
export function recordReference(
  recorder: Recorder,
  { grid, objectiveInputs }: PassFeeds,
  { config, objective, parameters }: Pick<PassOptions, 'config' | 'objective' | 'parameters'>,
): Output | null {
  let reference: Output | null = null;
  recorder.record(() =>
    tf.tidy(() => {
      const computed = objective.reference?.({ config, decoder: new Decoder(config), grid, parameters }, objectiveInputs);
      if (computed !== undefined) reference = recorder.outputOf(computed);
    }),
  );
  return reference;
}

/** @returns [logit_count, vocab], the logits of the token after each position */
export function recordLogits(
  recorder: Recorder,
  { grid, logitPositions }: PassFeeds,
  { config, parameters }: { config: ModelConfig; parameters: Parameters },
): Output {
  const decoder = new Decoder(config);
  let logits: Output | undefined;
  recorder.record(() =>
    tf.tidy(() => {
      const products: Tensor2D = tf.matMul(decoder.statesAt(grid, logitPositions, parameters), decoder.head(parameters), false, true);
      logits = recorder.outputOf(softCapped(products, config.logitSoftCap));
    }),
  );
  return logits!;
}

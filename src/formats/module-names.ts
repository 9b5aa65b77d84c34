/** How a model's modules and parameters are called in its checkpoint. */

/** Module and parameter names of a mixture of experts. */
export interface ExpertNames {
  router: string;
  /** Matrices of all experts in one: [experts, 2 · intermediate, hidden], with gates before ups unless they alternate, and [experts, hidden, intermediate]. */
  gateAndUp: string;
  down: string;
  /** The MLP of all tokens, and to the gate of its result if there is one. */
  shared?: MlpNames & { outputGate?: string };
  /** How files name the modules, if not so: of all experts in one, or of one expert each. */
  stored?: { router: string } & (
    | { gateAndUp: string; down: string }
    | { gate(expert: number): string; up(expert: number): string; down(expert: number): string }
  );
  /** The last parts of the names that the matrices had as modules in transformers 4. PEFT still takes them for those of now. */
  former?: { router: string; gate: string; up: string; down: string };
}

/** Module and parameter names of a delta net. */
export interface DeltaNetNames {
  module: string;
  /**
   * To all queries, then keys, then values; to the gates of its output; to β; to what the decay is computed from. Or to queries, keys, values and gates, and to
   * β and decay, of one key head after the other.
   */
  inputs: { mixed: string; gate: string; beta: string; decay: string } | { mixedAndGate: string; betaAndDecay: string };
  convolution: string;
  /** Parameters. */
  decayBias: string;
  decayLog: string;
  norm: string;
  output: string;
}

/** Module and parameter names of a Mamba layer. */
export interface MambaNames {
  module: string;
  /** To the gates of its output, then what the convolution goes over (x, B and C), then the time steps. */
  input: string;
  convolution: string;
  /** Parameters. */
  stepBias: string;
  decayLog: string;
  /** What of x is added to what the state gives. */
  skip: string;
  norm: string;
  output: string;
}

/** down(act(gate)·up), with gate and up separate or in one matrix; or down(act(up)). */
export type MlpNames = { down: string } & ({ gate: string; up: string } | { gateAndUp: string } | { up: string });

/** Module names in the checkpoint; those inside a block follow `{blocks}.{i}.`. */
export interface ModuleNames {
  /** Prefix of every name but the head's; some checkpoints omit it. */
  prefix: string;
  embedding: string;
  /** Learned position embedding. */
  positions: string | null;
  blocks: string;
  finalNorm: string;
  head: string;
  /** In order of application; null where the family has none. */
  norms: { beforeAttention: string | null; afterAttention: string | null; beforeMlp: string | null; afterMlp: string | null };
  /** Three matrices, or one that holds all queries, then keys, then values (`parts`), or the three of each head in turn (`heads`). */
  attention: {
    module: string;
    output: string;
    norms: { query: string; key: string } | null;
    /** Parameter, in families that have it: for each head a score beside those of its queries, in the sum of their softmax alone. */
    sinks?: string;
  } & ({ query: string; key: string; value: string } | { fused: string; order: 'parts' | 'heads' });
  /** Null where no layer has one. */
  deltaNet: DeltaNetNames | null;
  /** To B, C and x in one matrix, the convolution, and from them. Null where no layer has one. */
  shortConvolution: { module: string; input: string; convolution: string; output: string } | null;
  /** In families that have such layers. */
  mamba?: MambaNames;
  mlp: MlpNames;
  experts?: ExpertNames;
  /** Outside the blocks: the second table, the projection of the embedding and its norm. Inside: to the gates, back to the hidden size, and the norm after it. */
  perLayerInputs?: { embedding: string; projection: string; projectionNorm: string; gate: string; output: string; norm: string };
  /** Of each block, a factor on its result: a buffer, which is never trained. */
  blockScale?: string;
}

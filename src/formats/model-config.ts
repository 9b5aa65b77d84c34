/** Configuration of a decoder-only transformer: everything in which the families differ, so that one decoder serves them all. */
import type { ModuleNames } from './module-names.ts';
import type { Rotary } from './rotary.ts';

/** `gelu` is x·Φ(x), `gelu_tanh` its tanh approximation (Hendrycks & Gimpel 2016). */
export type Activation = 'silu' | 'gelu' | 'gelu_tanh';

export interface NormConfig {
  kind: 'rms' | 'layer';
  epsilon: number;
  /** Added to the stored weight: Gemma stores w − 1. */
  offset: 0 | 1;
}

/** Softmax attention, and what may differ between the layers of one model that have it. */
export interface SoftmaxAttention {
  kind: 'attention';
  /** How many positions each attends to, itself included; null: all up to itself. */
  windowTokens: number | null;
  rotary: Rotary | null;
  /** Of this layer's heads, where they differ from the model's. */
  sizes?: { kvHeads: number; headSize: number };
  /** Its values are what its keys are before their norm: it has no matrix for them. */
  valuesAreKeys?: true;
  /** Number of an earlier layer whose keys and values it attends to: it has none of its own. */
  sharesWith?: number;
}

/** A gated delta net (Yang et al. 2024) behind a causal convolution: linear attention, whose state has a fixed size. */
export interface DeltaNet {
  kind: 'delta_net';
  /** valueHeads / keyHeads value heads share a query and a key. */
  keyHeads: number;
  valueHeads: number;
  /** Of each head. */
  keySize: number;
  valueSize: number;
  /** How many tokens the convolution sees, the current one included. */
  convolutionTokens: number;
}

/** A causal convolution between two gates (LFM2): out(C · conv(B · x)). It sees a few tokens only. */
export interface ShortConvolution {
  kind: 'short_convolution';
  /** How many tokens it sees, the current one included. */
  convolutionTokens: number;
  /** Whether its matrices and the convolution have a bias. */
  bias: boolean;
}

/** A Mamba-2 layer (Dao & Gu 2024) behind a causal convolution: each head has a state that decays by the time steps which the tokens take. */
export interface Mamba {
  kind: 'mamba';
  /** heads / groups heads share what is written into their states at, and read from (B and C). */
  groups: number;
  heads: number;
  /** Of B and C. */
  stateSize: number;
  headSize: number;
  /** How many tokens the convolution sees, the current one included. */
  convolutionTokens: number;
  convolutionBias: boolean;
  /** Whether its matrices have a bias. */
  bias: boolean;
  /** Of the time steps; null: none. */
  stepLimits: { least: number; most: number } | null;
}

/** How a layer mixes its tokens. */
export type Mixer = SoftmaxAttention | DeltaNet | ShortConvolution | Mamba;

export interface AttentionConfig {
  /** Whether the projections to queries, keys and values have a bias. */
  inputBias: boolean;
  outputBias: boolean;
  /** An RMSNorm on queries and keys: over each head, over all heads at once, or over each head, without weights, where they are rotated. */
  queryKeyNorm: 'head' | 'all-heads' | 'rotated' | null;
  /** Factor on the scores, usually 1 / √headSize. */
  scale: number;
  /** c in c·tanh(scores / c). */
  softCap: number | null;
  /** The query matrix also gives a gate for each head, after its query: its result is multiplied by σ(gate). */
  outputGate: boolean;
  /** An RMSNorm without weights on the values of each head. */
  valueNorm?: true;
}

/** What a token adds to each block beside its embedding (Gemma 3n and 4): a row of a second table, and a projection of the embedding. */
export interface PerLayerInputs {
  /** For each block. */
  size: number;
  vocabSize: number;
}

/** A mixture of experts (Shazeer et al. 2017): a router gives each token to a few of many MLPs. */
export interface Experts {
  count: number;
  perToken: number;
  /** Of each expert. */
  intermediateSize: number;
  /** Whether the probabilities of a token's experts are divided by their sum. */
  normalised: boolean;
  /** Whether a block has it; the others have the MLP. */
  inBlocks: boolean[];
  /** Of an MLP that all tokens go through beside their experts. */
  shared?: { intermediateSize: number };
  /** The weight of an expert is σ of its logit, and its input is multiplied by it, not its result. */
  inputWeights?: true;
  /** Router and experts have biases; those of a matrix are `{its name}_bias`, [experts, out]. */
  bias?: true;
  /** Matrices are [experts, in, out], not [experts, out, in]. */
  inputFirst?: true;
  /** Gates and ups alternate. */
  interleaved?: true;
  /** In training, the loss that spreads tokens evenly over the experts (Fedus et al. 2021) is added to the objective's, times this. */
  balance?: number;
  /** (up + 1)·gate·σ(alpha·gate), with gate up to `limit` and up within ±`limit`, instead of act(gate)·up. */
  clamped?: { alpha: number; limit: number };
}

export interface ModelConfig {
  /** `model_type` */
  modelType: string;
  hiddenSize: number;
  layers: number;
  heads: number;
  /** Key and value heads; heads / kvHeads query heads share one (grouped-query attention). */
  kvHeads: number;
  headSize: number;
  intermediateSize: number;
  vocabSize: number;
  maxPositionTokens: number;
  norm: NormConfig;
  /** Factor on the token embeddings. */
  embeddingScale: number;
  /** Factor on what attention and MLP add to their input. */
  residualScale: number;
  /** Factor on the logits, before a cap. */
  logitScale: number;
  attention: AttentionConfig;
  /** One for each layer. */
  mixers: Mixer[];
  /** `doubledFrom`: number of the first block whose MLP is twice as wide; all after it are too. */
  mlp: { activation: Activation; bias: boolean; doubledFrom?: number };
  experts?: Experts;
  perLayerInputs?: PerLayerInputs;
  /** The token whose embedding gets no gradient as an input, as in transformers (`padding_idx`); null if there is no such token. */
  paddingId: number | null;
  /** Attention and MLP both read the block's input. */
  parallelResidual: boolean;
  /** c in c·tanh(logits / c). */
  logitSoftCap: number | null;
  /** The language-model head is the embedding matrix. The weights have the last word: `openWeights`. */
  tiedHead: boolean;
  /** Linear layers' weights are [in, out] in the checkpoint (GPT-2's Conv1D), not [out, in]. */
  inputFirst: boolean;
  names: ModuleNames;
  /**
   * Of a multimodal model, whose language model this describes: how the names of its other weights begin, which are neither read nor trained. PEFT and
   * `transformers` know the whole model, so adapters and delivered models are its.
   */
  otherTowers?: readonly string[];
  /** How the experts' matrices are stored, where it is not as floats: they are unpacked as they are read. */
  packed?: 'mxfp4';
  /** Dropout that config.json requests inside the model, e.g. `resid_pdrop 0.1`. None of it is applied. */
  dropout: string[];
  /** Fields that transformers ignores in this family, and so does the decoder, e.g. `attn_logit_softcapping 50`. */
  ignored: string[];
  bosTokenId: number | null;
  eosTokenIds: number[];
  padTokenId: number | null;
}

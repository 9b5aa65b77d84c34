/** The shape of a decoder-only transformer: everything in which the families differ, so that one decoder computes them all. */
import type { Rotary } from './rotary.ts';

/** `gelu` is x·Φ(x), `gelu_tanh` its tanh approximation (Hendrycks & Gimpel 2016). */
export type Activation = 'silu' | 'gelu' | 'gelu_tanh';

export interface NormConfig {
  kind: 'rms' | 'layer';
  epsilon: number;
  /** Added to the stored weight: Gemma keeps w − 1. */
  offset: 0 | 1;
}

/** One layer's attention, where layers alternate. */
export interface LayerAttention {
  /** How far back a position looks, itself included; null: to the beginning. */
  windowTokens: number | null;
  rotary: Rotary | null;
}

export interface AttentionConfig {
  /** On what makes queries, keys and values. */
  inputBias: boolean;
  outputBias: boolean;
  /** An RMSNorm on queries and keys: over each head, or over all heads at once. */
  queryKeyNorm: 'head' | 'all-heads' | null;
  /** On the scores, usually 1 / √headSize. */
  scale: number;
  /** c·tanh(scores / c). */
  softCap: number | null;
  layers: LayerAttention[];
}

/** Names in the checkpoint; those of a block's parts stand behind `{blocks}.{i}.`. */
export interface ModuleNames {
  /** What every name but the head's begins with; some checkpoints leave it out. */
  prefix: string;
  embedding: string;
  /** Learned positions. */
  positions: string | null;
  blocks: string;
  finalNorm: string;
  head: string;
  /** In the order in which they act; null where the family has none. */
  norms: { beforeAttention: string | null; afterAttention: string | null; beforeMlp: string | null; afterMlp: string | null };
  /** Three matrices, or one that holds all queries, then keys, then values (`parts`), or the three of each head in turn (`heads`). */
  attention: { module: string; output: string } & ({ query: string; key: string; value: string } | { fused: string; order: 'parts' | 'heads' });
  /** down(act(gate)·up), the first two apart or in one matrix; or down(act(up)). */
  mlp: { down: string } & ({ gate: string; up: string } | { gateAndUp: string } | { up: string });
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
  /** On the looked-up embeddings. */
  embeddingScale: number;
  attention: AttentionConfig;
  mlp: { activation: Activation; bias: boolean };
  /** The token whose embedding is not trained by being read, as in transformers (`padding_idx`); null where the family trains all alike. */
  paddingId: number | null;
  /** Attention and MLP both read the block's input. */
  parallelResidual: boolean;
  /** c·tanh(logits / c). */
  logitSoftCap: number | null;
  /** The language-model head is the embedding matrix. */
  tiedHead: boolean;
  /** Linear layers' weights are [in, out] in the checkpoint (GPT-2's Conv1D), not [out, in]. */
  inputFirst: boolean;
  names: ModuleNames;
  /** What config.json asks for of dropout inside the model, as `resid_pdrop 0.1`. None is applied. */
  dropout: string[];
  bosTokenId: number | null;
  eosTokenIds: number[];
  padTokenId: number | null;
}

/** What the API and the workers tell each other about a text that is being generated: JSON over Redis, which keeps none of it. */
import type { Refusal } from '../formats/refusal.ts';
import type { StoredModel } from '../jobs/job.ts';

/** Which weights answer. */
export interface ServedModel {
  /** As it was asked for. */
  name: string;
  /** The base model, as workers announce it. */
  base: { id: string; revision: string | null };
  /** A fully tuned model that takes its place; null if the base is as it was. */
  tunedBase: StoredModel | null;
  adapter: StoredModel | null;
  /** Variables for the chat template that its job named, as JSON text in Python's data model (json-text.ts). */
  templateKwargs: string | null;
}

/** What is continued. JSON texts are in Python's data model. */
export type Prompt =
  | { kind: 'conversation'; messages: string; tools: string | null; templateKwargs: string | null }
  | { kind: 'text'; text: string }
  | { kind: 'tokens'; tokenIds: number[] };

/** How tokens are chosen: names and meaning are those of the engine. */
export interface SamplingChoice {
  temperature: number;
  topP: number;
  topK: number;
  minP: number;
  logitBias: [tokenId: number, bias: number][];
  seed: number;
}

export interface Generation {
  id: string;
  model: ServedModel;
  prompts: Prompt[];
  /** Answers to each prompt. Sequence `i` answers prompt `floor(i / answers)`. */
  answers: number;
  sampling: SamplingChoice;
  /** null: as many as the worker allows and the context has room for. */
  maxTokens: number | null;
  stop: string[];
  /** Number of most probable tokens told beside each one; null tells no probabilities. */
  logprobs: number | null;
  /** A JSON Schema that each answer conforms to; null, or left out by an older version, leaves them free. */
  jsonSchema?: string | null;
  /** The request's field that holds the prompt, for errors. */
  promptParam: string;
}

export interface TokenLogprob {
  text: string;
  bytes: readonly number[];
  logprob: number;
}
export interface ChosenLogprob extends TokenLogprob {
  top: readonly TokenLogprob[];
}

/** How a model's chat template writes calls of tools; null if it cannot be told. */
export type ToolFormat = 'hermes' | null;

/** What comes back, in this order: `started`, `piece`s and one `finished` for each sequence, `done`; or `failed` at any point. */
export type Answer =
  | { kind: 'started'; promptTokens: number[]; toolFormat: ToolFormat }
  | { kind: 'piece'; index: number; text: string; tokens: number; logprobs: ChosenLogprob[] }
  | { kind: 'finished'; index: number; reason: 'stop' | 'length'; tokens: number }
  | { kind: 'done' }
  | { kind: 'failed'; error: Pick<Refusal, 'code' | 'message' | 'param' | 'hint'> };

/** Field by field: JSON leaves out the message of an error. */
export const failed = ({ code, message, param, hint }: Refusal): Answer => ({ kind: 'failed', error: { code, message, param, hint } });

/** What a worker says of itself, so that requests go where their model is in memory. */
export interface ServingStatus {
  /** Base models in memory, as `baseKey` names them. */
  warm: string[];
  /** Requests that it has. */
  requests: number;
  /** The most that it takes at once. */
  capacity: number;
}

/** Names the weights that several adapters may share. */
export const baseKey = ({ base, tunedBase }: Pick<ServedModel, 'base' | 'tunedBase'>): string =>
  tunedBase === null ? `${base.id}@${base.revision ?? 'local'}` : tunedBase.folder;

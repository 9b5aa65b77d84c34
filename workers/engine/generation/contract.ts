/** What generates text from one base model and any number of its adapters: the interface between the engine and whoever serves it. */
import type { ChatMessage } from '../../../src/formats/examples.ts';
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import type { JsonObject } from '../../../src/formats/json-value.ts';

export interface GenerationModelOptions {
  /** A Hugging Face model directory. */
  modelDir: string;
  /** Precision in which weights are held and multiplied; default f32. */
  precision?: Precision;
  /** Most sequences that are continued at once; default 8. Requests beyond it wait. */
  slots?: number;
  /** Most tokens of one sequence, its prompt included; default and limit: the model's context. Memory of the key/value cache is taken as sequences grow. */
  contextTokens?: number;
}

/** How the next token is chosen. Names and meaning are those of transformers' `GenerationConfig` and of OpenAI's API. */
export interface Sampling {
  /** 0 takes the most probable token each time. */
  temperature: number;
  /** Smallest set of most probable tokens whose probabilities reach this; 1 keeps all. */
  topP: number;
  /** Number of most probable tokens kept; 0 keeps all. */
  topK: number;
  /** Keeps tokens at least this fraction as probable as the most probable one; 0 keeps all. */
  minP: number;
  /** Added to a token's logit, by id. */
  logitBias: ReadonlyMap<number, number>;
  /** The same seed, request and model give the same tokens, whatever else is generated at the same time. */
  seed: number;
}

export interface GenerationRequest extends Sampling {
  prompt: Int32Array;
  /** Name given to `addAdapter`; null for the base model. */
  adapter: string | null;
  maxTokens: number;
  /** Generation ends before any of these texts; none of them is part of the answer. */
  stop: readonly string[];
  /** Number of most probable tokens reported beside each chosen one; null reports no probabilities. */
  logprobs: number | null;
  /** A JSON Schema, as JSON text, that the answer conforms to, unless it is cut; null leaves the answer free. */
  jsonSchema: string | null;
}

/** All of a request but what to continue: the most probable token each time, and nothing reported beside the text. */
export const GREEDY = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  logitBias: new Map<number, number>(),
  seed: 0,
  stop: [],
  logprobs: null,
  jsonSchema: null,
} as const;

/** A token's natural logarithm of probability, before temperature and filters. */
export interface TokenProbability {
  tokenId: number;
  /** The token's text, U+FFFD for incomplete characters. */
  text: string;
  /** The token's own bytes. */
  bytes: readonly number[];
  logprob: number;
}

export interface ChosenProbability extends TokenProbability {
  /** Most probable first. */
  top: readonly TokenProbability[];
}

/** A piece of an answer: whole characters that no stop text can take back. */
export interface GeneratedPiece {
  text: string;
  tokenIds: readonly number[];
  /** Of these tokens; empty if not asked for. */
  logprobs: readonly ChosenProbability[];
}

export interface GeneratedText {
  text: string;
  tokenIds: readonly number[];
  logprobs: readonly ChosenProbability[];
  /** `stop`: the model ended the text or a stop text was met; `length`: maxTokens or the context did. */
  finishReason: 'stop' | 'length';
  promptTokens: number;
}

export interface ConversationOptions {
  /** An adapter may carry a chat template of its own. */
  adapter: string | null;
  /** Function definitions as the chat template takes them. */
  tools: readonly JsonObject[] | null;
  chatTemplateKwargs?: JsonObject;
}

/** One base model held once, which continues several sequences at once, each with its own adapter. */
export interface GenerationModel {
  readonly contextTokens: number;
  readonly vocabularySize: number;
  /**
   * Loads a PEFT adapter directory under a name; the base model stays as it is.
   * @throws Refusal `unsupported_adapter`, and others that name the file
   */
  addAdapter(name: string, adapterDir: string): Promise<void>;
  /** Frees its memory once no sequence uses it. */
  removeAdapter(name: string): void;
  /** Bytes of weights, adapters and key/value cache held now. */
  memoryBytes(): number;
  /**
   * @returns the tokens of a conversation that ends with the message to be answered; without a chat template, of its last message's text
   * @throws Refusal what the template refuses
   */
  conversation(messages: readonly Pick<ChatMessage, 'role' | 'content' | 'extra'>[], options: ConversationOptions): Promise<Int32Array>;
  /** @returns the tokens of a text, with the special tokens that the tokenizer adds */
  tokens(text: string): Promise<Int32Array>;
  /**
   * Continues a prompt. Requests made at the same time are computed together.
   * @param onPiece called in order, before the promise resolves
   * @throws Refusal `invalid_prompt`; the signal's reason once it is aborted
   */
  generate(request: GenerationRequest, options?: { onPiece?: (piece: GeneratedPiece) => void; signal?: AbortSignal }): Promise<GeneratedText>;
  /** Ends sequences in progress with an error and frees everything. */
  dispose(): void;
}

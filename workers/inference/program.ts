/**
 * The inference process: paths and texts in, texts out. Like the training process it has no database, queue, storage or credentials; it may run out of
 * memory, and may crash, without taking the worker along.
 */
import { type Answer, failed, type Prompt, type TokenLogprob, type ToolFormat } from '../../src/chat/messages.ts';
import type { ChatMessage } from '../../src/formats/examples.ts';
import { type JsonObject, type JsonValue, parseJsonValue } from '../../src/formats/json-value.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { ChosenProbability, GenerationModel, TokenProbability } from '../engine/generation/contract.ts';
import { openGenerationModel } from '../engine/generation/generation-model.ts';
import { tf } from '../engine/tensorflow/tensorflow.ts';
import { isOutOfMemory } from '../process/errors.ts';
import { endOnlyWithParent } from '../process/parent-death.ts';
import type { Command, InferenceLimits, LocalGeneration, Message } from './messages.ts';
import { openModels } from './models.ts';
import { toolFormatOf } from './tool-format.ts';

endOnlyWithParent();

const { memoryBytes } = JSON.parse(process.argv[2]!) as InferenceLimits;
const models = openModels({ memoryBytes, open: openGenerationModel, onChange: (holds) => send({ holds }) });
const running = new Map<string, AbortController>();

process.on('message', (message: Command) => {
  if (message.command === 'cancel') running.get(message.id)?.abort(new Cancelled());
  else void answer(message.generation);
});

class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

async function answer(generation: LocalGeneration): Promise<void> {
  const { id } = generation;
  const cancelled = new AbortController();
  running.set(id, cancelled);
  const reply = (answer: Answer) => send({ id, answer });
  try {
    await tf.ready();
    const { model, giveBack } = await models.borrow(generation.model);
    try {
      await generate(generation, { model, reply, signal: cancelled.signal });
    } finally {
      giveBack();
    }
    reply({ kind: 'done' });
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof Cancelled)) console.error(error);
    reply(failed(asRefusal(error)));
  } finally {
    running.delete(id);
  }
}

interface Running {
  model: GenerationModel;
  reply(answer: Answer): void;
  signal: AbortSignal;
}

async function generate(generation: LocalGeneration, { model, reply, signal }: Running): Promise<void> {
  const { prompts, answers, sampling, logprobs, stop, maxTokens, jsonSchema = null } = generation;
  const tokens = await Promise.all(prompts.map((prompt) => tokensOf(prompt, model, generation)));
  for (const each of tokens) requireRoom(each, model, generation);
  signal.throwIfAborted();
  reply({ kind: 'started', promptTokens: tokens.map(({ length }) => length), toolFormat: await toolFormat(generation) });
  const sequences = tokens.flatMap((prompt) => Array.from({ length: answers }, () => prompt));
  const { logitBias, seed, ...choice } = sampling;
  const each = sequences.map(async (prompt, index) => {
    const request = {
      ...choice,
      logitBias: new Map(logitBias),
      seed: (seed + index) >>> 0, // each answer is another one
      prompt,
      adapter: generation.model.adapter?.key ?? null,
      maxTokens,
      stop,
      logprobs,
      jsonSchema,
    };
    const { finishReason, tokenIds } = await model.generate(request, {
      signal,
      onPiece: (piece) => reply({ kind: 'piece', index, text: piece.text, tokens: piece.tokenIds.length, logprobs: piece.logprobs.map(withoutIds) }),
    });
    reply({ kind: 'finished', index, reason: finishReason, tokens: tokenIds.length });
  });
  const ended = await Promise.allSettled(each);
  const rejected = ended.find((one) => one.status === 'rejected');
  if (rejected !== undefined) throw rejected.reason;
}

async function tokensOf(
  prompt: Prompt,
  model: GenerationModel,
  { model: { adapter, templateKwargs }, promptParam }: LocalGeneration,
): Promise<Int32Array> {
  switch (prompt.kind) {
    case 'text':
      return model.tokens(prompt.text);
    case 'tokens': {
      const unknown = prompt.tokenIds.find((id) => id >= model.vocabularySize);
      if (unknown !== undefined)
        throw new Refusal('invalid_value', `The prompt has the token ${unknown}; the model has ${model.vocabularySize}`, { param: promptParam });
      return Int32Array.from(prompt.tokenIds);
    }
    case 'conversation': {
      const kwargs = [templateKwargs, prompt.templateKwargs].flatMap((text) => (text === null ? [] : [...(parseJsonValue(text) as JsonObject)]));
      return model.conversation((parseJsonValue(prompt.messages) as JsonObject[]).map(asMessage), {
        adapter: adapter?.key ?? null,
        tools: prompt.tools === null ? null : (parseJsonValue(prompt.tools) as JsonObject[]),
        ...(kwargs.length > 0 && { chatTemplateKwargs: new Map(kwargs) }),
      });
    }
  }
}

/** As the training process reads a message of a dataset, so that the model sees what it was trained on. */
function asMessage(given: JsonObject): ChatMessage {
  const { role, content } = Object.fromEntries(given) as { role: ChatMessage['role']; content?: JsonValue };
  const extra: JsonObject = new Map(given);
  extra.delete('role');
  extra.delete('content');
  const text = Array.isArray(content) ? content.map((part) => (part as JsonObject).get('text')).join('') : ((content ?? null) as string | null);
  return { role, content: text, ...(Array.isArray(content) && { parts: content }), weight: 1, extra, keys: [...given.keys()] };
}

/** @throws Refusal in OpenAI's words, which programs look for */
function requireRoom({ length }: Int32Array, { contextTokens }: GenerationModel, { promptParam }: LocalGeneration): void {
  if (length === 0) throw new Refusal('invalid_value', 'The prompt has no tokens', { param: promptParam, hint: 'Give at least one word.' });
  if (length < contextTokens) return;
  throw new Refusal(
    'context_length_exceeded',
    `This model's maximum context length is ${contextTokens} tokens. However, your prompt has ${length} tokens`,
    { param: promptParam, hint: 'Shorten it: the answer needs room in the context too.' },
  );
}

const toolFormat = ({ model, prompts }: LocalGeneration): Promise<ToolFormat> | null =>
  prompts.some((prompt) => prompt.kind === 'conversation' && prompt.tools !== null) ? toolFormatOf(model) : null;

const withoutId = ({ text, bytes, logprob }: TokenProbability): TokenLogprob => ({ text, bytes, logprob });
const withoutIds = ({ top, ...chosen }: ChosenProbability) => ({ ...withoutId(chosen), top: top.map(withoutId) });

function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (isOutOfMemory(error))
    return new Refusal('generation_busy', 'The device ran out of memory while the answer was generated', {
      hint: 'Ask again later, or with a shorter prompt.',
    });
  return new Refusal('internal_error', 'The answer could not be generated', { hint: "The worker's log has the details." });
}

function send(message: Message): void {
  process.send?.(message, undefined, undefined, () => {});
}

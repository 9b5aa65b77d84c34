/** Finds a worker for a generation, and reads what it answers. */
import { Refusal } from '../formats/refusal.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import type { Services } from '../services.ts';
import { type Answer, baseKey, type ChosenLogprob, type Generation, type ServedModel, type ToolFormat } from './messages.ts';
import { type ChatQueue, WorkerAway } from './queue.ts';

export type ChatServices = Pick<Services, 'models' | 'hub' | 'instruments'> & { queue: ChatQueue };

/** A generation that a worker has begun. */
export interface Begun {
  /** By prompt. */
  promptTokens: number[];
  toolFormat: ToolFormat;
  /** Ends with `done`. Throws a Refusal for `failed`. */
  answers: AsyncGenerator<Answer>;
}

/**
 * Sends a generation to the worker that can answer soonest: one that has the model in memory, then one that has it on its disk.
 * @param signal aborted when nobody waits for the answer any more
 * @throws Refusal
 */
export async function begin(generation: Generation, services: ChatServices, signal: AbortSignal): Promise<Begun> {
  let busy: Refusal | null = null;
  for (const workerId of await workersFor(generation.model, services)) {
    const answers = refusing(services.queue.ask(workerId, generation, signal));
    try {
      const { value: first } = await answers.next();
      if (first?.kind === 'started') {
        const { promptTokens, toolFormat } = first;
        return { promptTokens, toolFormat, answers: counted(answers, sum(promptTokens), services) };
      }
      throw new Error(`the worker's first answer is ${first?.kind ?? 'missing'}`);
    } catch (error) {
      if (error instanceof Refusal && error.code === 'generation_busy') busy = error;
      else if (!(error instanceof WorkerAway)) throw error;
    }
  }
  throw busy ?? noWorker(generation.model);
}

const noWorker = ({ name, base }: ServedModel): Refusal =>
  new Refusal('no_worker', `No worker that has the base model "${base.id}" is running now to answer for "${name}"`, {
    param: 'model',
    hint: 'Ask again in a few seconds. If it stays so, whoever runs the service can start a worker with `npm run worker`.',
  });

/** Best first. */
async function workersFor(model: ServedModel, { models, hub, queue }: ChatServices): Promise<string[]> {
  const { base, tunedBase } = model;
  const workers = await models.workersFor(base);
  const mayFetch = tunedBase !== null || (base.revision !== null && hub.allows(base.id));
  const statuses = await queue.statuses(workers.filter(({ hasModel }) => hasModel || mayFetch).map(({ id }) => id));
  const key = baseKey(model);
  const rated = [...statuses].map(([id, { warm, requests, capacity }]) => ({
    id,
    isWarm: warm.includes(key),
    hasModel: workers.some((worker) => worker.id === id && worker.hasModel),
    load: requests / capacity,
  }));
  rated.sort((a, b) => Number(b.isWarm) - Number(a.isWarm) || Number(b.hasModel) - Number(a.hasModel) || a.load - b.load);
  // One that is full may have finished a request since it said so: it is asked last.
  return [...rated.filter(({ load }) => load < 1), ...rated.filter(({ load }) => load >= 1)].map(({ id }) => id);
}

async function* refusing(answers: AsyncGenerator<Answer>): AsyncGenerator<Answer> {
  for await (const answer of answers) {
    if (answer.kind === 'failed') {
      const { code, message, ...where } = answer.error;
      throw new Refusal(code, message, where);
    }
    yield answer;
  }
}

/** The same answers, counted. */
async function* counted(answers: AsyncGenerator<Answer>, promptTokens: number, { instruments }: ChatServices): AsyncGenerator<Answer> {
  const { generations, generatedTokens } = instruments;
  generatedTokens.inc({ kind: 'prompt' }, promptTokens);
  generations.inc();
  try {
    for await (const answer of answers) {
      if (answer.kind === 'finished') generatedTokens.inc({ kind: 'completion' }, answer.tokens);
      yield answer;
    }
  } finally {
    generations.dec();
  }
}

/** One sequence, written to its end. */
export interface Written {
  text: string;
  reason: 'stop' | 'length';
  tokens: number;
  logprobs: ChosenLogprob[];
}

/** Reads all sequences to their end. */
export async function written({ answers }: Begun, count: number): Promise<Written[]> {
  const all = Array.from({ length: count }, (): Written => ({ text: '', reason: 'length', tokens: 0, logprobs: [] }));
  for await (const answer of answers) {
    if (answer.kind === 'piece') {
      const one = all[answer.index]!;
      one.text += answer.text;
      one.logprobs.push(...answer.logprobs);
    } else if (answer.kind === 'finished') Object.assign(all[answer.index]!, { reason: answer.reason, tokens: answer.tokens });
  }
  return all;
}

/** What every object of an answer begins with. */
export const headOf = ({ id, model }: Pick<Generation, 'id' | 'model'>) => ({
  id,
  created: unixSeconds(new Date()),
  model: model.name,
  system_fingerprint: null,
});

/** A prompt with several answers is read once. */
export function usageOf({ promptTokens }: Begun, completionTokens: number) {
  const prompt = sum(promptTokens);
  return { prompt_tokens: prompt, completion_tokens: completionTokens, total_tokens: prompt + completionTokens };
}

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

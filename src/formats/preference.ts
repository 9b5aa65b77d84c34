/**
 * Preference pairs: two answers to one prompt, of which one is better. OpenAI's format is `{"input": {"messages": […], "tools"?}, "preferred_output": […],
 * "non_preferred_output": […]}`; TRL's is `{"prompt", "chosen", "rejected"}`, all as text or all as messages, or the same without the prompt, which is
 * then what both answers begin with.
 */
import { type At, atMessage, parseMessage, shown } from './chat-message.ts';
import { formOf } from './example-form.ts';
import { countTemplateKeys } from './example-line.ts';
import type { ChatMessage, CompletionExample, ContinuationExample } from './examples.ts';
import { isJsonObject, type JsonObject, type JsonValue } from './json-value.ts';
import { isDescriptive } from './known-keys.ts';
import { nearestName } from './nearest-name.ts';
import { commonMessages, commonText, sameAnswers } from './preference-prompt.ts';
import { isRecord } from './record.ts';
import { reservedKwarg } from './template-kwargs.ts';

/** An answer with its prompt, as an example of its own. */
export type Answered = CompletionExample | ContinuationExample;

export interface PreferenceExample {
  kind: 'preference';
  chosen: Answered;
  rejected: Answered;
}

type Json = Record<string, unknown>;

const A_PAIR =
  'A preference pair is {"input": {"messages": [...]}, "preferred_output": [...], "non_preferred_output": [...]} or {"prompt": ..., "chosen": ..., "rejected": ...}.';
const OPENAI_KEYS = ['input', 'preferred_output', 'non_preferred_output'];
const INPUT_KEYS = ['messages', 'tools', 'parallel_tool_calls'];
const TRL_KEYS = ['prompt', 'chosen', 'rejected', 'tools', 'chat_template_kwargs'];
/** What public datasets say of the two answers: `score_chosen`, `chosen_model`. */
const OF_AN_ANSWER = /^(.+_)?(chosen|rejected)(_.+)?$/;

export const isPreference = (value: Json): boolean =>
  ['preferred_output', 'non_preferred_output', 'chosen', 'rejected'].some((key) => Object.hasOwn(value, key));

/** @throws ExampleRefusal */
export function parsePreference(value: Json, at: At): PreferenceExample {
  const isOpenAi = 'preferred_output' in value || 'non_preferred_output' in value;
  checkKeys(value, isOpenAi ? OPENAI_KEYS : TRL_KEYS, at);
  return isOpenAi ? parseOpenAi(value, at) : parseTrl(value, at);
}

function parseOpenAi(value: Json, at: At): PreferenceExample {
  const { input } = value;
  if (!isRecord(input)) throw at.fail(`${at.name} has an "input" that is ${shown(input)}; it must be an object`, A_PAIR, { field: 'input' });
  checkKeys(input, INPUT_KEYS, at);
  const { messages: prompt, tools } = input;
  const [chosen, rejected] = [value['preferred_output'], value['non_preferred_output']];
  const form = formOf([prompt, chosen, rejected], [tools], at);
  const asked = form?.get('input');
  return conversations(
    {
      prompt: { key: 'messages', of: ' of the input', messages: prompt, form: (asked as JsonObject | undefined)?.get('messages') },
      chosen: { key: 'preferred_output', of: ' of the preferred output', messages: chosen, form: form?.get('preferred_output') },
      rejected: { key: 'non_preferred_output', of: ' of the other output', messages: rejected, form: form?.get('non_preferred_output') },
    },
    { tools, toolsForm: (asked as JsonObject | undefined)?.get('tools'), kwargsForm: undefined },
    at,
  );
}

function parseTrl(value: Json, at: At): PreferenceExample {
  const { tools, chat_template_kwargs: kwargs } = value;
  const given = [value['prompt'], value['chosen'], value['rejected']];
  const kinds = new Set(given.filter((part) => part !== undefined && part !== null).map((part) => (Array.isArray(part) ? 'messages' : typeof part)));
  if (kinds.size > 1)
    throw at.fail(`${at.name} has a "prompt", "chosen" and "rejected" of different kinds`, 'Write all of them as text, or all as messages.', {
      field: 'prompt',
    });
  if (!kinds.has('messages')) return texts(value, at);
  if (kwargs !== undefined && kwargs !== null && (!isRecord(kwargs) || reservedKwarg(Object.keys(kwargs)) !== null))
    throw at.fail(`${at.name} has "chat_template_kwargs" that is ${shown(kwargs)}; it must be an object of the template's variables`, undefined, {
      field: 'chat_template_kwargs',
    });
  const form = formOf(given, [tools, kwargs], at);
  const lists = (['prompt', 'chosen', 'rejected'] as const).map((key) => ({ key, of: ` of "${key}"`, messages: value[key], form: form?.get(key) }));
  const [prompt, chosen, rejected] = lists as [List, List, List];
  const rest = { tools, toolsForm: form?.get('tools'), kwargsForm: form?.get('chat_template_kwargs') };
  if (value['prompt'] !== undefined && value['prompt'] !== null) return conversations({ prompt, chosen, rejected }, rest, at);
  const shared = commonMessages(listOf(chosen, at), listOf(rejected, at), at);
  const after = (list: List): List => ({ ...list, skip: shared });
  return conversations({ prompt: { ...chosen, end: shared }, chosen: after(chosen), rejected: after(rejected) }, rest, at);
}

function texts(value: Json, at: At): PreferenceExample {
  const { name, fail } = at;
  for (const key of ['chosen', 'rejected'])
    if (typeof value[key] !== 'string') throw fail(`${name} has a "${key}" that is ${shown(value[key])}`, A_PAIR, { field: key });
  countTemplateKeys(value, at);
  let [prompt, chosen, rejected] = [value['prompt'], value['chosen'], value['rejected']] as [string | null | undefined, string, string];
  if (prompt === undefined || prompt === null) ({ prompt, chosen, rejected } = commonText(chosen, rejected, at));
  for (const [key, text] of Object.entries({ chosen, rejected })) if (text === '') throw emptyAnswer(key, at);
  if (chosen === rejected) throw sameAnswers(at);
  return {
    kind: 'preference',
    chosen: { kind: 'completion', prompt, completion: chosen },
    rejected: { kind: 'completion', prompt, completion: rejected },
  };
}

/** Messages of a line, of which some may belong to another list. */
interface List {
  key: string;
  /** How a message says which list it is in. */
  of: string;
  messages: unknown;
  /** The same in Python's data model; missing where texts are all there is. */
  form: JsonValue | undefined;
  skip?: number;
  end?: number;
}

interface Rest {
  tools: unknown;
  toolsForm: JsonValue | undefined;
  kwargsForm: JsonValue | undefined;
}

function conversations(lists: { prompt: List; chosen: List; rejected: List }, { tools, toolsForm, kwargsForm }: Rest, at: At): PreferenceExample {
  if (tools !== undefined && tools !== null && !Array.isArray(tools))
    throw at.fail(`${at.name} has "tools" that is ${shown(tools)}; it must be an array`, undefined, { field: 'tools' });
  const prompt = messagesOf(lists.prompt, at);
  const given = {
    kind: 'continuation',
    prompt,
    tools: Array.isArray(toolsForm) ? toolsForm : null,
    templateKwargs: isJsonObject(kwargsForm ?? null) ? (kwargsForm as JsonObject) : new Map(),
  } as const;
  at.keys.checkVariables([...given.templateKwargs.keys(), ...(given.tools === null || given.tools.length === 0 ? [] : ['tools'])], at.line);
  const [chosen, rejected] = [answerOf(lists.chosen, at), answerOf(lists.rejected, at)];
  const raw = ({ messages, skip = 0 }: List) => JSON.stringify((messages as unknown[]).slice(skip));
  if (raw(lists.chosen) === raw(lists.rejected)) throw sameAnswers(at);
  return { kind: 'preference', chosen: { ...given, completion: chosen }, rejected: { ...given, completion: rejected } };
}

function listOf({ key, messages }: List, { name, fail }: At): unknown[] {
  if (Array.isArray(messages) && messages.length > 0) return messages;
  throw fail(`${name} has "${key}" that is ${shown(messages)}; it must be a list of messages`, A_PAIR, { field: key });
}

function messagesOf(list: List, at: At): ChatMessage[] {
  const forms = (list.form ?? []) as JsonValue[];
  const { skip = 0, end } = list;
  return listOf(list, at)
    .slice(skip, end)
    .map((message, index) => parseMessage(message, forms[skip + index] ?? null, atMessage(at, skip + index + 1, list.of)));
}

function answerOf(list: List, at: At): ChatMessage[] {
  const parsed = messagesOf(list, at);
  const { skip = 0 } = list;
  const place = (index: number) => atMessage(at, skip + index + 1, list.of);
  const other = parsed.findIndex(({ role }, index) => role !== 'assistant' && (role !== 'tool' || index === parsed.length - 1));
  if (other !== -1) {
    const hint = 'An answer is what the assistant says: its messages and the results of its tools, with a message of the assistant at the end.';
    throw place(other).fail(`${place(other).name} is from "${parsed[other]!.role}"`, hint, { field: 'role' });
  }
  if (parsed.every(({ content, extra }) => (content ?? '') === '' && !extra.has('tool_calls'))) throw emptyAnswer(list.key, at);
  const weighted = parsed.findIndex(({ weight }) => weight !== 1);
  if (weighted !== -1)
    throw place(weighted).fail(
      `${place(weighted).name} has a weight, but all of an answer is compared`,
      'Move it into the prompt, or leave the weight out.',
      {
        field: 'weight',
      },
    );
  return parsed;
}

const emptyAnswer = (key: string, { name, fail }: At) =>
  fail(`${name} has an empty answer in "${key}"`, 'Both answers need text: there is nothing to compare otherwise.', { field: key });

function checkKeys(value: Json, known: readonly string[], { name, fail, keys, line }: At): void {
  for (const [key, content] of Object.entries(value)) {
    if (known.includes(key) || content === null) continue;
    if (isDescriptive(key) || OF_AN_ANSWER.test(key)) {
      keys.count('example', key, line);
      continue;
    }
    const nearest = nearestName(key, known);
    const hint = nearest === null ? `Used are ${known.join(', ')}; put what only describes the line into "metadata".` : `Did you mean "${nearest}"?`;
    throw fail(`${name} has the unknown key "${key}"`, hint, { field: key });
  }
}

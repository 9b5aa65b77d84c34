/**
 * A model's chat template (Jinja), rendered as transformers' `apply_chat_template` does, with the characters that
 * `{% generation %}` … `{% endgeneration %}` enclosed.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import type { TemplateKeys } from '../../../../src/formats/example-keys.ts';
import type { ChatMessage } from '../../../../src/formats/examples.ts';
import { CHAT_TEMPLATE_FILE } from '../../../../src/formats/model-files.ts';
import { Refusal } from '../../../../src/formats/refusal.ts';
import type { SpecialTokens, Tokenizer } from '../tokenizer.ts';
import { asPython, pythonFunctions } from './jinja-as-python.ts';
import { formatDate } from './strftime.ts';
import { templateKeys } from './template-keys.ts';

export interface Rendering {
  text: string;
  /** What the template marked, as [start, end) in code points of `text`; null when it has no `{% generation %}`. */
  generated: [number, number][] | null;
}

export interface RenderOptions {
  tools: unknown[] | null;
  /** Ends the text with the opening of an assistant turn. */
  addGenerationPrompt: boolean;
}

// Names that no template uses, for the two characters that mark the edges of a generation block.
const BEGIN = '__generation_begin';
const END = '__generation_end';

export class ChatTemplate {
  readonly #program: ReturnType<typeof parse>;
  readonly #source: string;
  readonly #specialTokens: SpecialTokens;
  readonly #today: Date;
  /** Whether the template marks the characters that the assistant generated. */
  readonly marksGeneration: boolean;
  /** Which keys it reads, so that those of a dataset which it does not read can be named. */
  readonly keys: TemplateKeys;
  /** SHA-256 of the source, hex. */
  readonly sha256: string;

  /**
   * @param options.today the date for `strftime_now`; an argument, so that a resumed run renders the same text
   * @throws Refusal when it is not valid Jinja
   */
  constructor(source: string, { specialTokens, today }: { specialTokens: SpecialTokens; today: Date }) {
    this.#source = source;
    this.#specialTokens = specialTokens;
    this.#today = today;
    this.keys = templateKeys(source);
    this.sha256 = createHash('sha256').update(source).digest('hex');
    this.marksGeneration = /\{%[-+]?\s*generation\s*[-+]?%\}/.test(source);
    try {
      this.#program = asPython(parse(tokenize(preprocess(source))));
    } catch (error) {
      throw new Refusal('corrupt_model_file', `the model's chat template cannot be parsed: ${(error as Error).message}`, { param: 'model' });
    }
  }

  /**
   * Reads `chat_template.jinja`, or `chat_template` in `tokenizer_config.json`: a string, or a list of named templates with one called `default`.
   * @returns null when the model has none
   */
  static async open(tokenizer: Tokenizer, today: Date): Promise<ChatTemplate | null> {
    const options = { specialTokens: tokenizer.specialTokens, today };
    const file = await readFile(join(tokenizer.modelDir, CHAT_TEMPLATE_FILE), 'utf8').catch(() => null);
    if (file !== null) return new ChatTemplate(file, options);
    const given = tokenizer.config['chat_template'];
    if (typeof given === 'string') return new ChatTemplate(given, options);
    if (!Array.isArray(given)) return null;
    const named = given as { name?: unknown; template?: unknown }[];
    const chosen = named.find(({ name }) => name === 'default') ?? named[0];
    return typeof chosen?.template === 'string' ? new ChatTemplate(chosen.template, options) : null;
  }

  /** @throws Error with the template's own message when it refuses the conversation */
  render(messages: readonly ChatMessage[], { tools, addGenerationPrompt }: RenderOptions): Rendering {
    const context = {
      ...this.#specialTokens,
      messages: messages.map((message) => this.#forTemplate(message)),
      tools,
      documents: null,
      add_generation_prompt: addGenerationPrompt,
    };
    const [begin, end] = absentCharacters(this.#source + JSON.stringify(context));
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...builtIns(this.#today), ...pythonFunctions, ...context, [BEGIN]: begin, [END]: end }))
      environment.set(name, value);
    const result = new Interpreter(environment).run(this.#program) as unknown as { value: string };
    return readMarks(result.value, begin, end, this.marksGeneration);
  }

  /** A message as templates expect it: tool-call arguments parsed, and `developer` renamed to `system` if the template does not know it. */
  #forTemplate({ role, content, extra }: ChatMessage): Record<string, unknown> {
    const named = role === 'developer' && !this.#source.includes('developer') ? 'system' : role;
    const message: Record<string, unknown> = { ...extra, role: named, content };
    if (Array.isArray(extra['tool_calls'])) message['tool_calls'] = extra['tool_calls'].map(withParsedArguments);
    // Reasoning is passed under several names; transformers fills the standard name and gpt-oss's from the others.
    const reasoning = extra['reasoning_content'] ?? extra['thinking'] ?? extra['reasoning'];
    if (reasoning !== undefined && reasoning !== null)
      Object.assign(message, { thinking: extra['thinking'] ?? reasoning, reasoning_content: reasoning });
    return message;
  }
}

/** OpenAI writes a call's arguments as JSON text; templates run `tojson` over them. */
function withParsedArguments(call: unknown): unknown {
  const given = (call as { function?: { arguments?: unknown } } | null)?.function;
  if (typeof given?.arguments !== 'string') return call;
  try {
    return { ...(call as object), function: { ...given, arguments: JSON.parse(given.arguments) as unknown } };
  } catch {
    return call;
  }
}

/**
 * Does what transformers' Jinja environment does before parsing (normalises line ends, drops the last one, `lstrip_blocks`, `trim_blocks`), then
 * turns each generation tag into the output of a mark, keeping the tag's whitespace control. The library's preprocessing would delete the tags.
 */
function preprocess(source: string): string {
  const blocks = source
    .replace(/\r\n?/g, '\n')
    .replace(/\n$/, '')
    .replace(/^[ \t]*(\{[#%](?!\+))/gm, '$1')
    .replace(/(?<!\+)([#%]\})\n/g, '$1')
    .replace(/\{%\+/g, '{%')
    .replace(/\+%\}/g, '%}')
    .replace(/\{%(-?)\s*(end)?generation\s*(-?)%\}/g, (_, left: string, closes: string | undefined, right: string) => {
      return `{{${left} ${closes === undefined ? BEGIN : END} ${right}}}`;
    });
  return `${blocks}\n`; // the library drops one more newline
}

/** Two private-use characters that occur nowhere in the text, and so cannot be content. */
function absentCharacters(text: string): [string, string] {
  const absent: string[] = [];
  for (let code = 0xe000; absent.length < 2 && code <= 0xf8ff; code++) {
    const character = String.fromCharCode(code);
    if (!text.includes(character)) absent.push(character);
  }
  const [begin, end] = absent;
  if (begin === undefined || end === undefined) throw new Error('the conversation uses every private-use character of Unicode');
  return [begin, end];
}

/** Removes the marks from the rendered text and returns where they were, in code points of what remains. */
function readMarks(marked: string, begin: string, end: string, marks: boolean): Rendering {
  if (!marks) return { text: marked, generated: null };
  const generated: [number, number][] = [];
  let text = '';
  let position = 0;
  let opened: number | null = null;
  for (const character of marked) {
    if (character === begin || character === end) {
      if ((character === begin) !== (opened === null)) throw new Error('its generation blocks are nested or not closed');
      if (opened === null) opened = position;
      else {
        generated.push([opened, position]);
        opened = null;
      }
      continue;
    }
    text += character;
    position += 1;
  }
  if (opened !== null) throw new Error('its last generation block is not closed');
  return { text, generated };
}

function builtIns(today: Date): Record<string, unknown> {
  return {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    raise_exception: (message: string) => {
      throw new Error(message);
    },
    range: (first: number, last?: number, step = 1) => {
      const [from, to] = last === undefined ? [0, first] : [first, last];
      return Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, index) => from + index * step);
    },
    strftime_now: (format: string) => formatDate(today, format),
  };
}

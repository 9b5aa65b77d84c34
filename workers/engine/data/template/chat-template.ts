/** A model's chat template (Jinja), rendered as transformers' `apply_chat_template` does, with what `{% generation %}` … `{% endgeneration %}` enclosed. */

import { commonPrefixLength } from '../../../../src/formats/common-prefix.ts';
import type { TemplateKeys } from '../../../../src/formats/example-keys.ts';
import type { ChatMessage } from '../../../../src/formats/examples.ts';
import type { JsonObject, JsonValue } from '../../../../src/formats/json-value.ts';
import { Refusal } from '../../../../src/formats/refusal.ts';
import { reservedKwarg } from '../../../../src/formats/template-kwargs.ts';
import type { SpecialTokens, Tokenizer } from '../tokenizer.ts';
import { inWhole, type Rendered, rebased } from './beginnings.ts';
import { type Compiled, compile, type UsedTemplate } from './compiled.ts';
import { withContent } from './content-parts.ts';
import { TemplateTooSlow } from './jinja/error.ts';
import { PrefixRenderer } from './jinja/prefix-renderer.ts';
import type { Dict, Value } from './jinja/values.ts';
import type { JobTemplate } from './job-template.ts';
import { markedSpans } from './marked-spans.ts';
import { chooseTemplate, DEFAULT, readTemplateSources, type TemplateSources, TOOL_USE } from './template-files.ts';
import { templateKeys } from './template-keys.ts';
import { messageOf, variablesOf } from './template-variables.ts';

export interface Rendering {
  text: string;
  /** What the template marked by `{% generation %}`, as [start, end) in code points of `text`. */
  generated: [number, number][];
}

export interface ExampleOptions {
  tools: JsonValue[] | null;
  /** The example's own variables, which override the job's. */
  kwargs?: JsonObject;
}

export interface RenderOptions extends ExampleOptions {
  /** Ends the text with the opening of an assistant turn. */
  addGenerationPrompt: boolean;
}

export interface Turn {
  /** Index of the assistant's message. */
  message: number;
  /** The messages before it, with the generation prompt: what the model is shown when it writes the turn. */
  before: Rendered;
  /** The messages up to and including it. */
  after: Rendered;
}

export interface RenderedTurns {
  /** The whole conversation. */
  text: string;
  turns: Turn[];
  /** Statements, loop rounds and macro calls that the rendering took: a measure of the work. */
  steps: number;
}

interface TemplateOptions {
  specialTokens: SpecialTokens;
  /** The date for `strftime_now`; an argument, so that a resumed run renders the same text. */
  today: Date;
  /** Variables for every example. */
  kwargs?: JsonObject;
  /** Whether the job brought it. */
  isOwn?: boolean;
}

const NO_KWARGS: JsonObject = new Map();
export class ChatTemplate {
  readonly #sources: TemplateSources;
  readonly #compiled = new Map<string, Compiled>();
  readonly #options: Required<TemplateOptions>;
  /** Messages as templates see them; the same message is rendered many times. */
  readonly #messages = new WeakMap<ChatMessage, Dict>();
  #stopped: TemplateTooSlow | null = null;
  /** Which keys they read, so that those of a dataset which they do not read can be named. */
  readonly keys: TemplateKeys;

  /**
   * @param sources a template, or several by name
   * @throws Refusal when one of them is not valid Jinja
   */
  constructor(sources: string | TemplateSources, { specialTokens, today, kwargs = NO_KWARGS, isOwn = false }: TemplateOptions) {
    this.#options = { specialTokens, today, kwargs, isOwn };
    this.#sources = typeof sources === 'string' ? new Map([[DEFAULT, sources]]) : sources;
    for (const [name, source] of this.#sources) this.#compiled.set(name, compile(name, source));
    this.keys = templateKeys([...this.#sources.values()].join('\n'));
  }

  /**
   * Reads the model's templates, or takes the job's own.
   * @returns null for a model without a template
   * @throws Refusal when one of them is not valid, or a variable's name is reserved
   */
  static async open(tokenizer: Tokenizer, today: Date, { source, kwargs = NO_KWARGS }: JobTemplate = {}): Promise<ChatTemplate | null> {
    const reserved = reservedKwarg(kwargs.keys());
    if (reserved !== null)
      throw new Refusal(
        'invalid_chat_template_kwargs',
        `chat_template_kwargs has ${JSON.stringify(reserved)}, which is not a variable of the template`,
        {
          param: 'chat_template_kwargs',
          hint: 'Give it variables that the chat template reads, for example enable_thinking.',
        },
      );
    const options = { specialTokens: tokenizer.specialTokens, today, kwargs };
    if (source !== undefined) return ownTemplate(source, options);
    const sources = await readTemplateSources(tokenizer.modelDir, tokenizer.config);
    return sources && new ChatTemplate(sources, options);
  }

  /** Whether the template for such an example marks what the assistant generated. @throws Error when the model has several templates and none for it */
  marksGeneration(tools: JsonValue[] | null): boolean {
    return this.#for(tools).marksGeneration;
  }

  /** The template for an example. @throws Error when the model has several and none for it */
  #for(tools: JsonValue[] | null): Compiled {
    return this.#compiled.get(chooseTemplate(this.#sources, tools !== null))!;
  }

  /** The template for examples without tools, or the first. */
  get main(): UsedTemplate {
    return this.#compiled.get(DEFAULT) ?? [...this.#compiled.values()][0]!;
  }

  /** The template for examples with tools, where the model has one of its own for them. */
  get toolUse(): UsedTemplate | null {
    return this.#compiled.get(TOOL_USE) ?? null;
  }

  /** Whether the job brought it, instead of the model. */
  get isOwn(): boolean {
    return this.#options.isOwn;
  }

  /** The job's variables. */
  get kwargs(): JsonObject {
    return this.#options.kwargs;
  }

  /** @throws Error with the template's own message when it refuses the conversation */
  render(messages: readonly ChatMessage[], { tools, addGenerationPrompt, kwargs }: RenderOptions): Rendering {
    const { template, source } = this.#for(tools);
    return this.#attempt(source, messages, () => {
      const variables = this.#variables({ tools, kwargs, addGenerationPrompt });
      const rendered = (inParts: boolean): Rendering => {
        const run = template.render(variables.set('messages', this.#dicts(messages, inParts)), { today: this.#options.today });
        const { text } = run.output;
        return { text, generated: markedSpans(text, run.marked) };
      };
      return withContent(messages, rendered, ({ text }) => text);
    });
  }

  /**
   * The renderings before and after each of the assistant's turns. Where the template goes over the messages in one loop, the work grows with the
   * conversation's length, and not with its square.
   * @param options.only the messages wanted, by index; default: all of the assistant's
   * @throws Error with the template's own message when it refuses the conversation or one of its beginnings
   */
  turns(messages: readonly ChatMessage[], { tools, kwargs, only }: ExampleOptions & { only?: readonly number[] }): RenderedTurns {
    const { template, source } = this.#for(tools);
    return this.#attempt(source, messages, () => {
      const rendered = (addGenerationPrompt: boolean, inParts: boolean) =>
        new PrefixRenderer(template, this.#dicts(messages, inParts), this.#variables({ tools, kwargs, addGenerationPrompt }), this.#options.today);
      const { plain, inParts } = withContent(
        messages,
        (inParts) => ({ plain: rendered(false, inParts), inParts }),
        ({ plain }) => plain.text,
      );
      const prompting = rendered(true, inParts);
      const { text } = plain;
      const common = commonPrefixLength(text, prompting.text);
      const wanted = only ?? messages.flatMap(({ role }, index) => (role === 'assistant' ? [index] : []));
      const turns = wanted.map(
        (message): Turn => ({
          message,
          before: inWhole(rebased(prompting.beginning(message), prompting.text, common), text),
          after: message + 1 === messages.length ? text.length : inWhole(plain.beginning(message + 1), text),
        }),
      );
      return { text, turns, steps: plain.steps + prompting.steps };
    });
  }

  /** After one conversation for which it took too long, the template is not tried on others: they would take as long, and some may already be waiting. */
  #attempt<T>(source: string, messages: readonly ChatMessage[], work: () => T): T {
    if (this.#stopped !== null) throw this.#stopped;
    try {
      return advising(source, messages, work);
    } catch (error) {
      if (error instanceof TemplateTooSlow) this.#stopped = error;
      throw error;
    }
  }

  #dicts(messages: readonly ChatMessage[], inParts: boolean): Value[] {
    return messages.map((message) => {
      if (inParts) return messageOf(message, true);
      const known = this.#messages.get(message);
      if (known !== undefined) return known;
      const dict = messageOf(message, false);
      this.#messages.set(message, dict);
      return dict;
    });
  }

  #variables({
    tools,
    kwargs = NO_KWARGS,
    addGenerationPrompt,
  }: RenderOptions | (Omit<RenderOptions, 'kwargs'> & { kwargs: JsonObject | undefined })) {
    const { specialTokens } = this.#options;
    return variablesOf({ specialTokens, tools, addGenerationPrompt, kwargs: new Map([...this.#options.kwargs, ...kwargs]) });
  }
}

/** @throws Refusal that names the request's field */
function ownTemplate(source: string, options: TemplateOptions): ChatTemplate {
  try {
    return new ChatTemplate(source, { ...options, isOwn: true });
  } catch (error) {
    const { message } = error as Error;
    throw new Refusal('invalid_chat_template', message.replace("the model's chat template", 'chat_template'), {
      param: 'chat_template',
      hint: 'A chat template is Jinja, as in chat_template.jinja of a model.',
    });
  }
}

/** Adds to a template's refusal what often helps. */
function advising<T>(source: string, messages: readonly ChatMessage[], work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TemplateTooSlow || source.includes('developer') || !messages.some(({ role }) => role === 'developer')) throw error;
    throw new Error(`${(error as Error).message} (the template does not know the role developer; write system instead)`);
  }
}

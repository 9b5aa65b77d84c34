/** What a chat template without marks writes for each turn of the assistant: the rendering before the turn and the one that ends with it. */
import type { DistilledExample } from '../../../src/formats/distilled.ts';
import type { ChatExample, ChatMessage } from '../../../src/formats/examples.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import type { Rendered } from './template/beginnings.ts';
import type { ChatTemplate, RenderedTurns, Rendering } from './template/chat-template.ts';
import { TemplateTooSlow } from './template/jinja/error.ts';
import type { Tokenizer } from './tokenizer.ts';

/** The chat template refuses the conversation, or does not show where an assistant's turn begins and ends. */
export class TemplateRefusal extends Error {
  override readonly name = 'TemplateRefusal';
}

/** What is rendered: messages, and all else that a line gives the template. */
export type Conversation = Omit<ChatExample, 'kind'>;

/** What a turn's text comes from. */
export interface Source {
  template: ChatTemplate;
  tokenizer: Tokenizer;
  conversation: Conversation;
}

export interface ConversationOptions {
  template: ChatTemplate;
  tokenizer: Tokenizer;
  /** Shapes of turns that the template is known to write whole; added to. */
  knownShapes: Set<string>;
  /** What a teacher thought of each message. */
  teacher?: DistilledExample['teacher'] | undefined;
}

/** @throws TemplateRefusal with the template's own message, Refusal for a template that takes too long */
export function renderMessages(
  template: ChatTemplate,
  { messages, tools, templateKwargs: kwargs }: Conversation,
  addGenerationPrompt = false,
): Rendering {
  return refusing(template, messages, () => template.render(messages, { tools, kwargs, addGenerationPrompt }));
}

/** Whether the template marks what is learned. @throws TemplateRefusal where the model has no template for the conversation */
export const marksTurns = (template: ChatTemplate, { messages, tools }: Conversation): boolean =>
  refusing(template, messages, () => template.marksGeneration(tools));

/** The turns that are trained on. @throws TemplateRefusal with the template's own message, Refusal for a template that takes too long */
export function renderTurns(template: ChatTemplate, { messages, tools, templateKwargs: kwargs }: Conversation): RenderedTurns {
  return refusing(template, messages, () => template.turns(messages, { tools, kwargs, only: learnedMessages(messages) }));
}

function refusing<T>(template: ChatTemplate, messages: readonly ChatMessage[], render: () => T): T {
  try {
    return render();
  } catch (error) {
    if (error instanceof TemplateTooSlow) throw tooSlow(template, error);
    throw new TemplateRefusal(`is refused by the model's chat template: ${(error as Error).message}${advice(messages)}`);
  }
}

/** Every further conversation would take as long. */
function tooSlow({ isOwn, main }: ChatTemplate, { message }: TemplateTooSlow): Refusal {
  const which = isOwn ? "the job's chat_template" : `the model's chat template (${main.name})`;
  return new Refusal(isOwn ? 'invalid_chat_template' : 'corrupt_model_file', `${which} was stopped: ${message} for one conversation`, {
    param: isOwn ? 'chat_template' : 'model',
    hint: 'A loop of it does not end, or its work grows much faster than the conversation.',
  });
}

/** Many templates add a turn's content to a text, which fails in Python too for a turn without content. */
function advice(messages: readonly ChatMessage[]): string {
  const empty = messages.findIndex(({ content }) => content === null);
  return empty === -1 ? '' : ` (message ${empty + 1} has no content; if the template needs one, write "content": "")`;
}

/** @returns the indices of the assistant's messages that are trained on */
export const learnedMessages = (messages: readonly ChatMessage[]): number[] =>
  [...messages.keys()].filter((index) => messages[index]!.role === 'assistant' && messages[index]!.weight !== 0);

export const textOf = (rendered: Rendered, whole: string): string => (typeof rendered === 'string' ? rendered : whole.slice(0, rendered));

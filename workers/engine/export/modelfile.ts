/** Ollama's Modelfile beside a GGUF file. */
import type { ChatMessage } from '../../../src/formats/examples.ts';
import { ChatTemplate } from '../data/template/chat-template.ts';
import type { TemplateSources } from '../data/template/template-files.ts';
import type { Tokenizer } from '../data/tokenizer.ts';

type Role = 'system' | 'user' | 'assistant';

/** What a template puts around each message, and at the end. */
interface Frames {
  before: Record<Role, string>;
  after: Record<Role, string>;
  prompt: string;
}

/** Texts that no template contains. */
const MARKS = ['\u0001one\u0001', '\u0001two\u0001', '\u0001three\u0001', '\u0001four\u0001'];
const CONVERSATIONS: readonly (readonly Role[])[] = [
  ['user'],
  ['system', 'user'],
  ['user', 'assistant', 'user'],
  ['system', 'user', 'assistant', 'user'],
];

export interface ModelfileOptions {
  tokenizer: Tokenizer;
  /** Name of the GGUF file beside it. */
  file: string;
  templates: TemplateSources | null;
  contextTokens: number;
}

/**
 * Ollama renders templates of its own language. One that only frames each message is translated and checked by rendering; without a translation, Ollama
 * compares the template in the GGUF file with those that it knows.
 */
export async function modelfile({ tokenizer, file, templates, contextTokens }: ModelfileOptions): Promise<string> {
  const stops = await Promise.all([...tokenizer.stopTokenIds].map((id) => tokenizer.decode([id], { specialTokens: true })));
  const template =
    templates === null ? null : templateOf(new ChatTemplate(templates, { specialTokens: tokenizer.specialTokens, today: new Date() }), tokenizer);
  return [
    `FROM ./${file}`,
    template === null
      ? '# The chat template does more than Ollama can be told: compare `ollama show --modelfile` with the template in the GGUF file before you rely on it.'
      : `TEMPLATE """${template}"""`,
    `PARAMETER num_ctx ${contextTokens}`,
    ...stops.filter((stop) => stop !== '' && !stop.includes('"')).map((stop) => `PARAMETER stop "${stop}"`),
    '',
  ].join('\n');
}

/** @returns the same template in Go's language; null if messages are not only framed */
function templateOf(template: ChatTemplate, { specialTokens }: Tokenizer): string | null {
  const bos = specialTokens['bos_token'] ?? '';
  const render = (roles: readonly Role[], addGenerationPrompt = true): string => {
    const messages = roles.map((role, index): ChatMessage => ({ role, content: MARKS[index]!, weight: 1, extra: new Map() }));
    const { text } = template.render(messages, { tools: null, addGenerationPrompt });
    // Ollama puts the token that begins a text itself.
    return bos !== '' && text.startsWith(bos) ? text.slice(bos.length) : text;
  };
  try {
    const frames = framesOf(render);
    return frames !== null && CONVERSATIONS.every((roles) => framed(frames, roles) === render(roles)) ? inGo(frames) : null;
  } catch {
    return null; // a template may refuse a role
  }
}

function framesOf(render: (roles: readonly Role[], prompt?: boolean) => string): Frames | null {
  const between = (text: string): string[] => MARKS.reduce<string[]>((parts, mark) => parts.flatMap((part) => part.split(mark)), [text]);
  const [beforeUser, afterUser] = between(render(['user'], false)) as [string, string];
  const prompt = render(['user']).slice(beforeUser.length + MARKS[0]!.length + afterUser.length);
  const [, toAssistant, fromAssistant] = between(render(['user', 'assistant', 'user'], false)) as [string, string, string];
  const [beforeSystem, fromSystem] = between(render(['system', 'user'], false)) as [string, string];
  if (!toAssistant.startsWith(afterUser) || !fromAssistant.endsWith(beforeUser) || !fromSystem.endsWith(beforeUser)) return null;
  const withoutUser = (text: string): string => text.slice(0, text.length - beforeUser.length);
  return {
    before: { system: beforeSystem, user: beforeUser, assistant: toAssistant.slice(afterUser.length) },
    after: { system: withoutUser(fromSystem), user: afterUser, assistant: withoutUser(fromAssistant) },
    prompt,
  };
}

const framed = ({ before, after, prompt }: Frames, roles: readonly Role[]): string =>
  roles.map((role, index) => before[role] + MARKS[index]! + after[role]).join('') + prompt;

/** JSON's strings are Go's. */
const literal = (text: string): string => (text === '' ? '' : `{{ ${JSON.stringify(text)} }}`);

const inGo = ({ before, after, prompt }: Frames): string => {
  const branches = (['system', 'user', 'assistant'] as const).map(
    (role, index) => `{{- ${index === 0 ? '' : 'else '}if eq .Role "${role}" }}${literal(before[role])}{{ .Content }}${literal(after[role])}`,
  );
  return `{{- range .Messages }}${branches.join('\n')}\n{{- end }}\n{{- end }}${literal(prompt)}`;
};

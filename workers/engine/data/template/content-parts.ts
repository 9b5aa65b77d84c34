/**
 * Content in parts, as OpenAI and models for images write it. Most templates for text expect one text and refuse a list, print it as Python would, or leave
 * it out without a word; a few expect a list. So the texts are joined, unless the template loses or refuses that and takes the list.
 */
import type { ChatMessage } from '../../../../src/formats/examples.ts';
import { isJsonObject } from '../../../../src/formats/json-value.ts';

/**
 * @param render renders the conversation with its contents joined, or in parts
 * @param textOf what was printed
 * @throws what `render` throws for joined contents, if the list is no better
 */
export function withContent<T>(messages: readonly ChatMessage[], render: (inParts: boolean) => T, textOf: (rendered: T) => string): T {
  const texts = messages.flatMap(({ parts = [] }) => parts).map((part) => (isJsonObject(part) ? String(part.get('text')).trim() : ''));
  if (texts.length === 0) return render(false);
  const isWhole = (rendered: T): boolean => texts.every((text) => textOf(rendered).includes(text));
  const joined = attempt(() => render(false));
  if ('value' in joined && isWhole(joined.value)) return joined.value;
  const inParts = attempt(() => render(true));
  if ('value' in inParts && isWhole(inParts.value)) return inParts.value;
  if ('value' in joined) return joined.value;
  throw joined.error;
}

function attempt<T>(work: () => T): { value: T } | { error: unknown } {
  try {
    return { value: work() };
  } catch (error) {
    return { error };
  }
}

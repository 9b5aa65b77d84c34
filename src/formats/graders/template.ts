/** Texts with `{{item.…}}` and `{{sample.…}}`, as OpenAI's graders have them. */
import { Refusal } from '../refusal.ts';
import { shown } from '../shown.ts';
import { Ungraded } from './ungraded.ts';

/** What templates may name. */
export interface Namespaces {
  /** The line of the dataset. */
  item: unknown;
  /** What the model wrote. */
  outputText: string;
  /** The same as JSON, parsed when it is first asked for. @throws Ungraded */
  outputJson(): unknown;
}

export function namespacesOf(item: unknown, outputText: string): Namespaces {
  let parsed: { value: unknown } | undefined;
  return {
    item,
    outputText,
    outputJson() {
      parsed ??= { value: parse(outputText) };
      return parsed.value;
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Ungraded('sample_parse_error', 'the sample is not JSON, so there is no sample.output_json');
  }
}

const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;
/** `item.answers[0].text` or `item.answers.0.text` */
const PATH = /^[A-Za-z_]\w*(\.\w+|\[\d+\])*$/;
const NAMESPACES = ['item', 'sample'];

/** Where a template is, and what it may name. */
export interface TemplatePlace {
  /** Its path in the request. */
  param: string;
  /** Whether lines of a dataset (`item`) or samples can have a key; default: every key is allowed. */
  hasKey?: (namespace: 'item' | 'sample', key: string) => boolean;
}

/** @throws Refusal for a placeholder that can never be filled in */
export function checkTemplate(template: string, { param, hasKey = () => true }: TemplatePlace): void {
  for (const [, inside = ''] of template.matchAll(PLACEHOLDER)) {
    const path = inside.trim();
    const [namespace = '', key] = path.split(/[.[]/, 2);
    if (PATH.test(path) && NAMESPACES.includes(namespace) && path !== 'sample') {
      if (key === undefined || hasKey(namespace as 'item' | 'sample', key)) continue;
      throw new Refusal('invalid_value', `${param} has the placeholder ${shown(path)}, but no ${namespace} has the key ${shown(key)}`, {
        param,
        hint: 'Use {{sample.output_text}}, {{item.reference_answer}}, or what lines have: {{item.messages[0].content}}, {{item.metadata.key}}.',
      });
    }
    throw new Refusal('invalid_value', `${param} has the placeholder ${shown(path)}`, {
      param,
      hint: 'Use {{sample.output_text}}, {{sample.output_json.key}} or {{item.key}}, with dots and [0] for what is inside.',
    });
  }
}

/** Texts are inserted as they are, everything else as JSON. @throws Ungraded, also for a result of more than `maxLength` characters */
export function fill(template: string, namespaces: Namespaces, maxLength: number): string {
  let text = '';
  let end = 0;
  for (const { 0: placeholder, 1: path = '', index } of template.matchAll(PLACEHOLDER)) {
    const value = lookUp(path.trim(), namespaces);
    text += template.slice(end, index) + (typeof value === 'string' ? value : JSON.stringify(value));
    end = index + placeholder.length;
    if (text.length > maxLength) break; // a short template can name a long text a thousand times
  }
  text += template.slice(end);
  if (text.length > maxLength) throw new Ungraded('other_error', `a text has more than ${maxLength} characters`);
  return text;
}

function lookUp(path: string, namespaces: Namespaces): unknown {
  const [namespace, ...keys] = path.replaceAll(/\[(\d+)\]/g, '.$1').split('.');
  let value = namespace === 'item' ? namespaces.item : sampleOf(keys[0], namespaces);
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) throw missing(path);
    value = (value as Record<string, unknown>)[key];
  }
  if (value === undefined) throw missing(path);
  return value;
}

const sampleOf = (key: string | undefined, { outputText, outputJson }: Namespaces): object =>
  key === 'output_json' ? { output_json: outputJson() } : { output_text: outputText };

const missing = (path: string) => new Ungraded('invalid_variable_error', `there is no ${path}`);

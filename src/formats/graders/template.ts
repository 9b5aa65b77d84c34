/** Texts with `{{item.…}}` and `{{sample.…}}`, as OpenAI's graders have them. */
import { Refusal } from '../refusal.ts';
import { shown } from '../shown.ts';

/** What templates may name. */
export interface Namespaces {
  /** The line of the dataset. */
  item: unknown;
  /** What the model wrote. */
  sample: { output_text: string };
}

/** Why a template could not be filled in: `errors` has a flag for each. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  constructor(
    readonly flag: 'invalid_variable_error' | 'sample_parse_error',
    message: string,
  ) {
    super(message);
  }
}

const PLACEHOLDER = /\{\{\s*([^{}]*?)\s*\}\}/g;
/** `item.answers[0].text` or `item.answers.0.text` */
const PATH = /^[A-Za-z_]\w*(\.\w+|\[\d+\])*$/;
const NAMESPACES = ['item', 'sample'];

/** @throws Refusal for a placeholder that can never be filled in */
export function checkTemplate(template: string, param: string): void {
  for (const [, path = ''] of template.matchAll(PLACEHOLDER)) {
    const [namespace = ''] = path.split(/[.[]/, 1);
    if (PATH.test(path) && NAMESPACES.includes(namespace) && path !== 'sample') continue;
    throw new Refusal('invalid_value', `${param} has the placeholder ${shown(path)}`, {
      param,
      hint: 'Use {{sample.output_text}}, {{sample.output_json.key}} or {{item.key}}, with dots and [0] for what is inside.',
    });
  }
}

/** Texts are inserted as they are, everything else as JSON. @throws TemplateError */
export const fill = (template: string, namespaces: Namespaces): string =>
  template.replace(PLACEHOLDER, (_, path: string) => {
    const value = lookUp(path, namespaces);
    return typeof value === 'string' ? value : JSON.stringify(value);
  });

function lookUp(path: string, { item, sample }: Namespaces): unknown {
  const [namespace, ...keys] = path.replaceAll(/\[(\d+)\]/g, '.$1').split('.');
  let value: unknown = item;
  if (namespace === 'sample') value = keys[0] === 'output_json' ? { output_json: parsed(sample.output_text) } : sample;
  for (const key of keys) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key))
      throw new TemplateError('invalid_variable_error', `there is no ${path}`);
    value = (value as Record<string, unknown>)[key];
  }
  if (value === undefined) throw new TemplateError('invalid_variable_error', `there is no ${path}`);
  return value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TemplateError('sample_parse_error', 'the sample is not JSON, so there is no sample.output_json');
  }
}

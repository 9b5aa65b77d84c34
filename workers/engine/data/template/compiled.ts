/** A chat template's source, checked and compiled once for all renderings. */
import { createHash } from 'node:crypto';
import { Refusal } from '../../../../src/formats/refusal.ts';
import { Template } from './jinja/template.ts';
import { DEFAULT } from './template-files.ts';

/** Ten times the longest template that models ship; reading a source takes time that grows faster than its length. */
const MAX_SOURCE_LENGTH = 256 * 1024;

/** A template that was used, for the receipt. */
export interface UsedTemplate {
  name: string;
  /** SHA-256 of the source, hex. */
  sha256: string;
  /** Whether it marks what the assistant generated. */
  marksGeneration: boolean;
}

export interface Compiled extends UsedTemplate {
  template: Template;
  source: string;
}

/** @throws Refusal when the source is too long or not valid Jinja */
export function compile(name: string, source: string): Compiled {
  const which = name === DEFAULT ? '' : ` (${name})`;
  const sha256 = createHash('sha256').update(source).digest('hex');
  const marksGeneration = /\{%[-+]?\s*generation\s*[-+]?%\}/.test(source);
  try {
    if (source.length > MAX_SOURCE_LENGTH) throw new Error(`it has ${source.length} characters; the limit is ${MAX_SOURCE_LENGTH}`);
    return { name, source, sha256, marksGeneration, template: new Template(source) };
  } catch (error) {
    throw new Refusal('corrupt_model_file', `the model's chat template${which} cannot be parsed: ${(error as Error).message}`, { param: 'model' });
  }
}

import { isRecord } from '../../../../src/formats/record.ts';
import { badTokenizer } from './bad-tokenizer.ts';
import type { Source } from './tokenizer-source.ts';

type Json = Record<string, unknown>;

/** Few tokenizers have one; the merges of the others need not be parsed. */
const HAS_PREFIX = /"continuing_subword_prefix"\s*:\s*"./;

/**
 * Checks what Hugging Face's core takes for granted: a tokenizer.json without it ends the process, in Python with a PanicException.
 * @throws Refusal
 */
export function refuseCorePanics({ json, text, whole }: Source): void {
  const { model } = HAS_PREFIX.test(text) ? whole() : {};
  if (isRecord(model)) refuseMergesShorterThanPrefix(model);
  const { post_processor: processor } = json;
  if (isRecord(processor)) refuseUnknownTemplateTokens(processor);
}

/** The core cuts the prefix off the second token of each merge. */
function refuseMergesShorterThanPrefix({ continuing_subword_prefix: prefix, merges }: Json): void {
  if (typeof prefix !== 'string' || prefix === '' || !Array.isArray(merges)) return;
  const length = Buffer.byteLength(prefix);
  for (const [index, merge] of merges.entries()) {
    const second: unknown = typeof merge === 'string' ? merge.split(' ')[1] : Array.isArray(merge) ? merge[1] : undefined;
    if (typeof second !== 'string') continue; // the core says so itself
    const bytes = Buffer.from(second);
    const isInsideCharacter = (bytes[length]! & 0xc0) === 0x80;
    if (bytes.length < length || isInsideCharacter)
      throw badTokenizer(
        `merge ${index + 1} of the model directory's tokenizer ends with "${second}", from which continuing_subword_prefix "${prefix}" cannot be cut off`,
        'Use the tokenizer.json of the original model.',
      );
  }
}

/** The core looks the special tokens of a template up when it encodes a text. */
function refuseUnknownTemplateTokens(processor: Json): void {
  for (const part of Array.isArray(processor['processors']) ? processor['processors'] : []) if (isRecord(part)) refuseUnknownTemplateTokens(part);
  if (processor['type'] !== 'TemplateProcessing') return;
  const known = isRecord(processor['special_tokens']) ? processor['special_tokens'] : {};
  for (const name of ['single', 'pair']) {
    const pieces = processor[name];
    for (const piece of Array.isArray(pieces) ? pieces : []) {
      const token: unknown = isRecord(piece) && isRecord(piece['SpecialToken']) ? piece['SpecialToken']['id'] : undefined;
      if (typeof token === 'string' && !Object.hasOwn(known, token))
        throw badTokenizer(
          `the post_processor of the model directory's tokenizer puts "${token}" around a text, which its special_tokens do not have`,
          'Use the tokenizer.json of the original model.',
        );
    }
  }
}

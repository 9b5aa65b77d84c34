import { isRecord } from '../../../../src/formats/record.ts';
import { badTokenizer } from './bad-tokenizer.ts';
import type { Source } from './tokenizer-source.ts';

type Json = Record<string, unknown>;

const ORIGINAL = 'Use the tokenizer.json of the original model.';

/**
 * Checks what Hugging Face's core takes for granted: a tokenizer.json without it ends the process, in Python with a PanicException.
 * @throws Refusal
 */
export function refuseCorePanics({ json, whole }: Source): void {
  const { model } = whole();
  if (isRecord(model)) refuseMergesThatDoNotFit(model);
  const { post_processor: processor } = json;
  if (isRecord(processor)) refuseUnknownTemplateTokens(processor);
}

/** The core cuts the prefix off the second token of each merge, and joins the two in a buffer as long as the vocabulary's longest token. */
function refuseMergesThatDoNotFit({ continuing_subword_prefix: prefix, merges, vocab }: Json): void {
  if (!Array.isArray(merges) || !isRecord(vocab)) return; // the core says so itself
  const cut = typeof prefix === 'string' ? Buffer.byteLength(prefix) : 0;
  let room = 0;
  for (const token in vocab) room = Math.max(room, Buffer.byteLength(token));
  for (const [index, merge] of merges.entries()) {
    const [first, second]: unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
    if (typeof first !== 'string' || typeof second !== 'string') continue; // the core says so itself
    const named = `merge ${index + 1} of the model directory's tokenizer`;
    if (cut > 0 && !isCuttable(second, cut))
      throw badTokenizer(`${named} ends with "${second}", from which continuing_subword_prefix "${prefix}" cannot be cut off`, ORIGINAL);
    if (Buffer.byteLength(first) + Buffer.byteLength(second) - cut > room)
      throw badTokenizer(`${named} joins "${first}" and "${second}" to a token longer than any of its vocabulary`, ORIGINAL);
  }
}

/** Whether a token is at least this long and its next byte begins a character. */
function isCuttable(token: string, length: number): boolean {
  const bytes = Buffer.from(token);
  return bytes.length >= length && (bytes[length]! & 0xc0) !== 0x80;
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
          ORIGINAL,
        );
    }
  }
}

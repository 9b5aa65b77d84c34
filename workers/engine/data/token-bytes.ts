/** The bytes that a token of a vocabulary stands for. Tokens end anywhere, also within a character. */
import tokenizers from 'tokenizers';
import { isRecord } from '../../../src/formats/record.ts';

const utf8 = new TextEncoder();
/** What SentencePiece writes for a space. */
const SPACE_MARK = '▁';
const FALLBACK = /^<0x([0-9A-Fa-f]{2})>$/;

/**
 * @param decoder of tokenizer.json
 * @returns null where the decoder does not say what a token's bytes are
 */
export function tokenBytes(token: string, decoder: unknown): Uint8Array | null {
  const kinds = decoderKinds(decoder);
  if (kinds.includes('ByteLevel')) return fromByteLevel(token);
  const byte = kinds.includes('ByteFallback') ? FALLBACK.exec(token)?.[1] : undefined;
  if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
  return kinds.includes('ByteFallback') || kinds.includes('Metaspace') ? utf8.encode(token.replaceAll(SPACE_MARK, ' ')) : null;
}

/** @returns the ids of a vocabulary by their bytes, as `bytesKey` writes them. Where a byte has a token of its own besides a fallback, that one counts. */
export function idsByBytes(vocabulary: Readonly<Record<string, number>>, decoder: unknown): Map<string, number> {
  const ids = new Map<string, number>();
  const add = (tokens: [string, number][]): void => {
    for (const [token, id] of tokens) {
      const key = bytesKey(tokenBytes(token, decoder) ?? utf8.encode(token));
      if (!ids.has(key)) ids.set(key, id);
    }
  };
  const tokens = Object.entries(vocabulary);
  add(tokens.filter(([token]) => !FALLBACK.test(token)));
  add(tokens.filter(([token]) => FALLBACK.test(token)));
  return ids;
}

/** Whether decoding drops the space before the first token of a text, as SentencePiece does. */
export const dropsFirstSpace = (decoder: unknown): boolean => decoderKinds(decoder).some((kind) => kind === 'Metaspace' || kind === 'Strip');

export const bytesKey = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

function decoderKinds(decoder: unknown): string[] {
  if (!isRecord(decoder)) return [];
  const { type, decoders } = decoder;
  return type === 'Sequence' && Array.isArray(decoders) ? decoders.flatMap(decoderKinds) : [String(type)];
}

let byteOfCharacter: Map<string, number> | null = null;
let characterOfByte: Map<number, string> | null = null;

/** @returns the bytes that the characters stand for; a token with other characters, which is an added one, is text */
function fromByteLevel(token: string): Uint8Array {
  byteOfCharacter ??= byteLevelAlphabet();
  const bytes = [];
  for (const character of token) {
    const byte = byteOfCharacter.get(character);
    if (byte === undefined) return utf8.encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/** @returns the bytes as a byte-level vocabulary writes them, a character each */
export function byteLevelText(bytes: Uint8Array): string {
  characterOfByte ??= new Map([...byteLevelAlphabet()].map(([character, byte]) => [byte, character]));
  let text = '';
  for (const byte of bytes) text += characterOfByte.get(byte)!;
  return text;
}

/** GPT-2's characters for bytes: printable ones for themselves, and from U+0100 on those for the others, in order. */
function byteLevelAlphabet(): Map<string, number> {
  const alphabet = new Map<string, number>();
  for (const character of tokenizers.byteLevelAlphabet()) {
    const code = character.codePointAt(0)!;
    if (code < 256) alphabet.set(character, code);
  }
  const printable = new Set(alphabet.values());
  let next = 256;
  for (let byte = 0; byte < 256; byte++) if (!printable.has(byte)) alphabet.set(String.fromCodePoint(next++), byte);
  return alphabet;
}

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

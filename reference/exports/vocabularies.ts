/** Texts that llama.cpp must split into the same tokens. */
import { Tokenizer } from '../../workers/engine/data/tokenizer.ts';
import { corpusBlocks } from '../tokenizer-measures.ts';

/** Lines of the hard corpus that are drawn from. */
const LINES = 2000;

/**
 * What llama.cpp knowingly does otherwise: special tokens in texts and the spaces around them, several spaces in a row, characters without a width, and
 * texts that the tokenizer normalizes.
 */
const NOT_THE_SAME = /[<[\u2581]| {2}|^\s|\s$|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

/** Lines of many scripts, numbers and emoji. */
export const plainLines = (): string[] =>
  corpusBlocks()
    .flat()
    .slice(0, LINES)
    .filter((line) => line !== '' && line.normalize('NFC') === line && !NOT_THE_SAME.test(line));

/** The ids of each line, without what the tokenizer puts around it. */
export async function idsOf(modelDir: string, lines: readonly string[]): Promise<number[][]> {
  const tokenizer = await Tokenizer.open(modelDir);
  return Promise.all(lines.map(async (line) => [...(await tokenizer.encode(line, { addSpecialTokens: false })).ids]));
}

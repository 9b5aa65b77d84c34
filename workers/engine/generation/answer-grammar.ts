/** Holds an answer to a JSON Schema: at each token, what the schema does not allow cannot be chosen. */
import { Refusal } from '../../../src/formats/refusal.ts';
import { byteLevelText } from '../data/token-bytes.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import { forgetXgrammar, xgrammar } from './xgrammar.ts';

/** White space in a row between two parts. A model that may not write what it wants may write white space for ever; and more takes longer to compile. */
const MAX_WHITESPACE = 2;
/** Compiled schemas that are kept for the next request. */
const KEPT = 16;

type Compiler = Awaited<ReturnType<ReturnType<typeof xgrammar>['GrammarCompiler']['createGrammarCompiler']>>;
type Compiled = Awaited<ReturnType<Compiler['compileJSONSchema']>>;
type Matcher = Awaited<ReturnType<ReturnType<typeof xgrammar>['GrammarMatcher']['createGrammarMatcher']>>;

/** The grammars of one model's vocabulary. */
export class AnswerGrammars {
  readonly #tokenizer: Tokenizer;
  readonly #vocabularySize: number;
  #compiler: Promise<Compiler> | null = null;
  readonly #compiled = new Map<string, Promise<Compiled>>();

  constructor(tokenizer: Tokenizer, vocabularySize: number) {
    this.#tokenizer = tokenizer;
    this.#vocabularySize = vocabularySize;
  }

  /** @param schema JSON text. @throws Refusal for one that cannot be compiled */
  async begin(schema: string): Promise<AnswerGrammar> {
    this.#compiler ??= this.#open();
    const compiler = await this.#compiler;
    const known = this.#compiled.get(schema);
    const compiling = known ?? compiler.compileJSONSchema(schema, true, undefined, undefined, true, MAX_WHITESPACE);
    this.#compiled.delete(schema);
    this.#compiled.set(schema, compiling);
    const [oldest] = this.#compiled.keys();
    if (this.#compiled.size > KEPT) {
      void this.#compiled.get(oldest!)!.then((compiled) => compiled.dispose());
      this.#compiled.delete(oldest!);
    }
    try {
      return new AnswerGrammar(await xgrammar().GrammarMatcher.createGrammarMatcher(await compiling, undefined, true));
    } catch {
      this.#compiler = null;
      this.#compiled.clear();
      forgetXgrammar();
      throw new Refusal('invalid_value', 'The JSON Schema cannot be compiled', { hint: 'Make it simpler.' });
    }
  }

  async #open(): Promise<Compiler> {
    const ids = Array.from({ length: this.#vocabularySize }, (_, id) => id);
    // Special tokens have no text, and are never part of JSON.
    const texts = await Promise.all(
      ids.map(async (id) => (this.#tokenizer.isSpecialToken(id) ? '' : byteLevelText(await this.#tokenizer.bytes(id)))),
    );
    const { TokenizerInfo, GrammarCompiler } = xgrammar();
    const info = await TokenizerInfo.createTokenizerInfo(texts, 'byte_level', false, texts.length, [...this.#tokenizer.stopTokenIds]);
    return GrammarCompiler.createGrammarCompiler(info, false);
  }
}

/** The grammar of one answer, as far as it has been written. */
export class AnswerGrammar {
  readonly #matcher: Matcher;

  constructor(matcher: Matcher) {
    this.#matcher = matcher;
  }

  /** Whether the answer is whole: nothing may follow. */
  get isComplete(): boolean {
    return this.#matcher.isTerminated();
  }

  /**
   * @param logits [vocab], which stay as they are
   * @returns [vocab], with −∞ for tokens that may not come next
   */
  async allowed(logits: Float32Array): Promise<Float32Array> {
    const mask = await this.#matcher.getNextTokenBitmask();
    const allowed = logits.slice();
    for (let id = 0; id < allowed.length; id++) if (((mask[id >> 5]! >> (id & 31)) & 1) === 0) allowed[id] = Number.NEGATIVE_INFINITY;
    return allowed;
  }

  /** @param id of a token that was allowed */
  accept(id: number): void {
    if (!this.#matcher.acceptToken(id)) throw new Error(`the grammar of the answer does not accept the token ${id}, which it allowed`);
  }

  dispose(): void {
    this.#matcher.dispose();
  }
}

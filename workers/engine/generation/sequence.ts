/** One request that is being answered: takes the logits after its last token, again and again, until its answer is complete. */
import { Refusal } from '../../../src/formats/refusal.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { AnswerGrammar } from './answer-grammar.ts';
import { AnswerText } from './answer-text.ts';
import type { ChosenProbability, GeneratedPiece, GeneratedText, GenerationRequest, TokenProbability } from './contract.ts';
import { type LogProbability, logProbabilities } from './log-probabilities.ts';
import { chooseToken, sequenceRandom } from './sampler.ts';

interface SequenceOptions {
  tokenizer: Tokenizer;
  vocabularySize: number;
  /** Most tokens, those of the prompt included. */
  contextTokens: number;
  /** What the answer must conform to. */
  grammar?: AnswerGrammar | null;
  onPiece?: ((piece: GeneratedPiece) => void) | undefined;
}

export class Sequence {
  readonly request: GenerationRequest;
  /** The prompt and what was generated so far. */
  readonly tokens: number[];
  readonly #options: SequenceOptions;
  readonly #random: () => number;
  readonly #answer: AnswerText;
  readonly #pieces: GeneratedPiece[] = [];
  #finishReason: GeneratedText['finishReason'] | null = null;

  /** @throws Refusal `invalid_prompt` */
  constructor(request: GenerationRequest, options: SequenceOptions) {
    checkPrompt(request.prompt, options);
    this.request = request;
    this.tokens = [...request.prompt];
    this.#options = options;
    this.#random = sequenceRandom(request.seed);
    this.#answer = new AnswerText(options.tokenizer, request.stop);
    if (request.maxTokens <= 0) this.#finishReason = 'length';
  }

  /** The answer once it is complete; null before. */
  get result(): GeneratedText | null {
    if (this.#finishReason === null) return null;
    return {
      text: this.#pieces.map(({ text }) => text).join(''),
      tokenIds: this.#pieces.flatMap(({ tokenIds }) => [...tokenIds]),
      logprobs: this.#pieces.flatMap(({ logprobs }) => [...logprobs]),
      finishReason: this.#finishReason,
      promptTokens: this.request.prompt.length,
    };
  }

  /**
   * Chooses the next token. Await it before giving the next logits.
   * @param logits [vocab], after the last of `tokens`
   */
  async take(logits: Float32Array): Promise<void> {
    const { tokenizer, contextTokens, grammar = null } = this.#options;
    const { prompt, maxTokens, logprobs } = this.request;
    const id = chooseToken(grammar === null ? logits : await grammar.allowed(logits), this.request, this.#random);
    if (tokenizer.stopTokenIds.has(id)) return this.#end('stop');
    grammar?.accept(id);
    this.tokens.push(id);
    const probability = logprobs === null ? null : await this.#described(logProbabilities(logits, id, logprobs));
    const { piece, stopped } = await this.#answer.push(id, probability);
    this.#give(piece);
    if (stopped) this.#finishReason = 'stop';
    else if (grammar?.isComplete) await this.#end('stop');
    else if (this.tokens.length >= Math.min(prompt.length + maxTokens, contextTokens)) await this.#end('length');
  }

  async #end(reason: GeneratedText['finishReason']): Promise<void> {
    this.#give(await this.#answer.end());
    this.#finishReason = reason;
  }

  #give(piece: GeneratedPiece | null): void {
    if (piece === null) return;
    this.#pieces.push(piece);
    this.#options.onPiece?.(piece);
  }

  async #described({ top, ...chosen }: LogProbability & { top: LogProbability[] }): Promise<ChosenProbability> {
    const describe = async (one: LogProbability): Promise<TokenProbability> => {
      const bytes = await this.#options.tokenizer.bytes(one.tokenId);
      return { ...one, text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), bytes: [...bytes] };
    };
    return { ...(await describe(chosen)), top: await Promise.all(top.map(describe)) };
  }
}

function checkPrompt(prompt: Int32Array, { contextTokens, vocabularySize }: SequenceOptions): void {
  const refuse = (problem: string, hint: string) => new Refusal('invalid_prompt', problem, { param: 'prompt', hint });
  if (prompt.length === 0) throw refuse('the prompt has no tokens', 'Give at least one word.');
  if (prompt.length >= contextTokens)
    throw refuse(
      `the prompt has ${prompt.length} tokens; the model's context is ${contextTokens}`,
      'Shorten it: the answer needs room in the context too.',
    );
  const wrong = prompt.find((id) => id < 0 || id >= vocabularySize);
  if (wrong !== undefined)
    throw refuse(`the prompt has the token ${wrong}; the model's vocabulary has ${vocabularySize}`, 'Give ids of its own tokenizer.');
}

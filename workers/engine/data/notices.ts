/** What a user should know about how their examples are learned: said once a file, with the number of examples and the first line. */
import { quantity } from '../../../src/formats/quantity.ts';

/** What each kind says of `count` examples; `detail` is of the first of them. */
const SENTENCES = {
  prompt_cut: (examples, first, detail) =>
    `${examples} whose prompt does not end where a token ends: the end of the prompt is left out and learned with the answer, so the model is trained on a context that differs from the one it sees in use; ${first}, where this end of the prompt is left out: ${detail}. End prompts without white space, and begin completions with it`,
  prompt_merged: (examples, first, detail) =>
    `${examples} with a turn whose first token also covers the end of the generation prompt; that token is learned, though in use the model is shown ${detail} as a token of its own; ${first}. Begin the content of the assistant's messages with something other than white space`,
  prompt_differs: (examples, first, detail) =>
    `${examples} with a turn that the chat template does not begin as its generation prompt ends; such a turn is learned from its own beginning on, and in use the model is shown ${detail} in addition; ${first}`,
  own_renderings: (examples, first) =>
    `${examples} with turns before which the chat template renders the conversation differently than in use, or that it renders differently once others follow; each such turn is trained in a text of its own, after what the model sees in use; ${first}`,
  own_reasoning: (examples, first) =>
    `${examples} with a turn whose reasoning the chat template leaves out even of the turn itself; the content is trained as it is in the file, between the template's beginning and end of the turn; ${first}`,
  no_end_of_turn: (examples, first) =>
    `${examples} with a turn after which the chat template writes no end-of-turn token, or leaves it unmarked, so the model may not learn to stop; ${first}. Let the template end a turn with a special token, inside {% generation %} if it has that`,
  teacher_unknown: (examples, first, detail) =>
    `${examples} whose teacher also thought of tokens that the model's tokenizer does not have, such as ${detail}; they are left out of its distribution; ${first}. Use a teacher with the tokenizer of the model, and a server that gives the bytes of its tokens`,
  no_eos: (examples, first) =>
    `${examples} after which the model may never stop, because none of its files names an eos token; ${first}. Set eos_token in tokenizer_config.json, or eos_token_id in generation_config.json or config.json`,
} as const satisfies Record<string, (examples: string, first: string, detail: string) => string>;

export type NoticeKind = keyof typeof SENTENCES;

export interface Notice {
  kind: NoticeKind;
  /** What the sentence quotes of the first example. */
  detail?: string;
}

/** Counts the notices of a file. */
export class Notices {
  readonly #found = new Map<NoticeKind, { examples: number; line: number; detail: string }>();

  add(line: number, notices: readonly Notice[]): void {
    const kinds = new Set(notices.map(({ kind }) => kind));
    for (const kind of kinds) {
      const found = this.#found.get(kind);
      const { detail = '' } = notices.find((notice) => notice.kind === kind)!;
      if (found === undefined) this.#found.set(kind, { examples: 1, line, detail });
      else {
        found.examples += 1;
        if (line < found.line) Object.assign(found, { line, detail });
      }
    }
  }

  /** @returns what the file has, one phrase a kind, in the order of the table */
  get phrases(): string[] {
    return (Object.keys(SENTENCES) as NoticeKind[]).flatMap((kind) => {
      const found = this.#found.get(kind);
      if (found === undefined) return [];
      return [SENTENCES[kind](quantity(found.examples, 'example'), `the first is on line ${found.line}`, found.detail)];
    });
  }
}

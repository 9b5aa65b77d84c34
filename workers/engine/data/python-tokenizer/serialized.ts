/** A tokenizer.json. Its vocabulary is nearly all of it and often not needed in JavaScript, so the rest is parsed alone where that is possible. */
import { isRecord } from '../../../../src/formats/record.ts';
import { badTokenizer } from './bad-tokenizer.ts';

type Json = Record<string, unknown>;

/** What stands before the model when the library writes the file; another order means that all of it is parsed. */
const BEFORE_MODEL = ['added_tokens', 'padding', 'normalizer', 'pre_tokenizer', 'post_processor', 'decoder'];

export class Serialized {
  /** The file, perhaps without `vocab` and `merges` in its `model`. */
  readonly json: Json;
  #whole: Json | null = null;

  /** @throws Refusal when it is not a JSON object */
  constructor(
    readonly path: string,
    readonly text: string,
  ) {
    this.json = withoutVocabulary(text) ?? this.whole;
  }

  get whole(): Json {
    this.#whole ??= parseObject(this.text, this.path);
    return this.#whole;
  }
}

export function parseObject(text: string, path: string): Json {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw badTokenizer(`${path} is not valid JSON: ${(error as Error).message}`);
  }
  if (!isRecord(json)) throw badTokenizer(`${path} is not a JSON object`);
  return json;
}

/** @returns null where the vocabulary does not come last */
function withoutVocabulary(text: string): Json | null {
  const model = /"model"\s*:\s*\{/.exec(text);
  if (model === null) return null;
  const vocab = /,\s*"vocab"\s*:/g;
  vocab.lastIndex = model.index;
  const end = vocab.exec(text)?.index;
  if (end === undefined) return null;
  try {
    // These two braces complete it only if the cut is inside the model, and the model is a key of the file itself.
    const json = JSON.parse(`${text.slice(0, end)}}}`) as Json;
    const options = json['model'];
    return isRecord(options) && typeof options['type'] === 'string' && BEFORE_MODEL.every((part) => part in json) ? json : null;
  } catch {
    return null;
  }
}

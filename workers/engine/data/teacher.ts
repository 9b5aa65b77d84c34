/** What a teacher thinks of tokens of an example: for each of them some tokens of the vocabulary with their log-probabilities. */

export interface Teacher {
  /** [tokens] Where they are, ascending: indices of an example's ids, or of a batch's. Tokens without a teacher are missing. */
  at: Int32Array;
  /** [tokens] How many tokens are listed for each; the first of them is the token itself. */
  counts: Int32Array;
  /** [listed] Their ids, no id twice for a token. */
  ids: Int32Array;
  /** [listed] Nats; −∞ for a probability of 0. */
  logProbabilities: Float32Array;
}

/** One token's part, for the making of a `Teacher`. */
export interface Listed {
  at: number;
  ids: readonly number[];
  logProbabilities: readonly number[];
}

export function teacherOf(tokens: readonly Listed[]): Teacher {
  return {
    at: Int32Array.from(tokens, ({ at }) => at),
    counts: Int32Array.from(tokens, ({ ids }) => ids.length),
    ids: Int32Array.from(tokens.flatMap(({ ids }) => ids)),
    logProbabilities: Float32Array.from(tokens.flatMap(({ logProbabilities }) => logProbabilities)),
  };
}

/** @returns what it thinks of the ids from `start` to `end`, counted from `start` */
export function teacherWithin(teacher: Teacher, start: number, end: number): Teacher {
  const first = countBelow(teacher.at, start);
  const last = countBelow(teacher.at, end);
  const [from, to] = [listedBefore(teacher, first), listedBefore(teacher, last)];
  return {
    at: teacher.at.subarray(first, last).map((at) => at - start),
    counts: teacher.counts.subarray(first, last),
    ids: teacher.ids.subarray(from, to),
    logProbabilities: teacher.logProbabilities.subarray(from, to),
  };
}

/** @param parts with where each part's ids begin, ascending */
export function joinTeachers(parts: readonly { teacher: Teacher; offset: number }[]): Teacher {
  const all = <Values extends Int32Array | Float32Array>(empty: Values, of: (part: (typeof parts)[number]) => Values): Values => {
    const values = parts.map(of);
    const joined = new (empty.constructor as new (length: number) => Values)(values.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of values) {
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  };
  return {
    at: all(new Int32Array(), ({ teacher, offset }) => teacher.at.map((at) => at + offset)),
    counts: all(new Int32Array(), ({ teacher }) => teacher.counts),
    ids: all(new Int32Array(), ({ teacher }) => teacher.ids),
    logProbabilities: all(new Float32Array(), ({ teacher }) => teacher.logProbabilities),
  };
}

const countBelow = (ascending: Int32Array, limit: number): number => {
  const first = ascending.findIndex((at) => at >= limit);
  return first === -1 ? ascending.length : first;
};

const listedBefore = ({ counts }: Teacher, token: number): number => counts.subarray(0, token).reduce((sum, count) => sum + count, 0);

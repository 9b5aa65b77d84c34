import { Refusal } from '../refusal.ts';
import { FUNCTIONS, parseFormula } from './formula.ts';
import type { Grader, SingleGrader } from './grader.ts';
import { METRICS } from './similarity.ts';
import { checkTemplate, fill, type Namespaces } from './template.ts';
import { Ungraded } from './ungraded.ts';

/** Characters of a text that is compared. The slowest metric takes up to 40 ms for two such texts, during which the process does nothing else. */
const MAX_COMPARED = 8 * 1024;

/** What a grader makes of a sample. */
export interface Graded {
  reward: number;
  /** Of the graders in a `multi` grader, by name. */
  scores: Record<string, number>;
  /** Why the reward is 0 although nothing was graded; null if all went well. */
  problem: { flag: Ungraded['flag']; details: string } | null;
}

/**
 * Checks what the schema cannot say, so that the result can grade any number of samples.
 * @throws Refusal
 */
export function prepareGrader(grader: Grader): (namespaces: Namespaces) => Graded {
  const score = grader.type === 'multi' ? multi(grader) : single(grader, 'grader');
  return (namespaces) => {
    try {
      return { ...score(namespaces), problem: null };
    } catch (error) {
      if (!(error instanceof Ungraded)) throw error;
      return { reward: 0, scores: error.scores, problem: { flag: error.flag, details: error.message } };
    }
  };
}

type Scorer = (namespaces: Namespaces) => Pick<Graded, 'reward' | 'scores'>;

function single(grader: SingleGrader, param: string): Scorer {
  if (grader.type !== 'string_check' && grader.type !== 'text_similarity') throw unsupported(grader.type, param);
  const compare = comparison(grader, param);
  const { input, reference } = grader;
  checkTemplate(input, `${param}.input`);
  checkTemplate(reference, `${param}.reference`);
  return (namespaces) => {
    const [a, b] = [input, reference].map((template) => fill(template, namespaces, MAX_COMPARED)) as [string, string];
    return { reward: compare(a, b), scores: {} };
  };
}

const OPERATIONS = {
  eq: (input: string, reference: string) => input === reference,
  ne: (input: string, reference: string) => input !== reference,
  like: (input: string, reference: string) => input.includes(reference),
  ilike: (input: string, reference: string) => input.toLowerCase().includes(reference.toLowerCase()),
};

function comparison(
  grader: Extract<SingleGrader, { type: 'string_check' | 'text_similarity' }>,
  param: string,
): (input: string, reference: string) => number {
  if (grader.type === 'string_check') return (input, reference) => Number(OPERATIONS[grader.operation](input, reference));
  const { evaluation_metric: metric } = grader;
  if (metric !== 'cosine' && metric !== 'meteor') return METRICS[metric];
  const lacks = metric === 'cosine' ? 'an embedding model' : "WordNet's synonyms";
  throw new Refusal('unsupported_grader', `The metric "${metric}" needs ${lacks}, which this service does not have`, {
    param: `${param}.evaluation_metric`,
    hint: `Use ${Object.keys(METRICS).join(', ')}.`,
  });
}

const WHY_NOT = {
  python: 'would run a program of yours on this machine, which cannot be confined well enough',
  score_model: 'asks a model for a score, and this service does not answer with models yet',
  label_model: 'asks a model for a label, and this service does not answer with models yet',
};

const unsupported = (type: keyof typeof WHY_NOT, param: string) =>
  new Refusal('unsupported_grader', `A grader of the type "${type}" ${WHY_NOT[type]}`, {
    param: `${param}.type`,
    hint: 'Use string_check, text_similarity, or multi to combine them.',
  });

/** Names that a formula can use. */
const NAME = /^[A-Za-z_]\w*$/;

function multi({ graders: given, calculate_output }: Extract<Grader, { type: 'multi' }>): Scorer {
  const graders = isSingle(given) ? { [given.name]: given } : given;
  const names = Object.keys(graders);
  if (names.length === 0)
    throw new Refusal('invalid_value', 'graders is empty', { param: 'grader.graders', hint: 'Give it one grader or more, by name.' });
  const wrong = names.find((name) => !NAME.test(name) || Object.hasOwn(FUNCTIONS, name));
  if (wrong !== undefined)
    throw new Refusal('invalid_value', `A formula cannot use the name "${wrong}"`, {
      param: 'grader.graders',
      hint: 'Use letters, digits and _, beginning with a letter, and no name of a function.',
    });
  const scorers = Object.entries(graders).map(([name, grader]) => [name, single(grader, `grader.graders.${name}`)] as const);
  const formula = parseFormula(calculate_output, names);
  return (namespaces) => {
    const scores = Object.fromEntries(scorers.map(([name, scorer]) => [name, scorer(namespaces).reward]));
    const reward = formula(scores);
    if (!Number.isFinite(reward)) throw new Ungraded('other_error', `calculate_output gives ${reward}`, scores);
    return { reward, scores };
  };
}

const isSingle = (graders: SingleGrader | Record<string, SingleGrader>): graders is SingleGrader => typeof graders['type'] === 'string';

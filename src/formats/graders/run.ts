import { Refusal } from '../refusal.ts';
import { FUNCTIONS, parseFormula } from './formula.ts';
import type { Grader, SingleGrader } from './grader.ts';
import { jsonSchemaCheck } from './json-schema.ts';
import { labelIn } from './label.ts';
import { firstCapture } from './pattern.ts';
import { METRICS } from './similarity.ts';
import { checkTemplate, fill, type Namespaces, type TemplatePlace } from './template.ts';
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
 * @param place the grader's path in the request, and what its templates may name
 * @throws Refusal
 */
export function prepareGrader(grader: Grader, place: TemplatePlace = { param: 'grader' }): (namespaces: Namespaces) => Graded {
  const score = grader.type === 'multi' ? multi(grader, place) : single(grader, place);
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

type Supported = Exclude<SingleGrader, { type: keyof typeof WHY_NOT }>;

/** @param reference empty for a grader without one */
type Comparison = (input: string, reference: string) => number;

function single(grader: SingleGrader, { param, ...place }: TemplatePlace): Scorer {
  if (!isSupported(grader)) throw unsupported(grader.type, param);
  const compare = comparison(grader, param);
  const templates = templatesOf(grader);
  for (const [field, template] of templates) checkTemplate(template, { ...place, param: `${param}.${field}` });
  return (namespaces) => {
    const [input = '', reference = ''] = templates.map(([, template]) => fill(template, namespaces, MAX_COMPARED));
    return { reward: compare(input, reference), scores: {} };
  };
}

const isSupported = (grader: SingleGrader): grader is Supported => !Object.hasOwn(WHY_NOT, grader.type);

/** @returns a grader's templates, by field: its input, and its reference if it has one */
function templatesOf(grader: Supported): [field: string, template: string][] {
  const reference = 'reference' in grader ? grader.reference : undefined;
  return [['input', grader.input], ...(reference === undefined ? [] : [['reference', reference] as [string, string]])];
}

const OPERATIONS = {
  eq: (input: string, reference: string) => input === reference,
  ne: (input: string, reference: string) => input !== reference,
  like: (input: string, reference: string) => input.includes(reference),
  ilike: (input: string, reference: string) => input.toLowerCase().includes(reference.toLowerCase()),
};

/** @throws Refusal */
function comparison(grader: Supported, param: string): Comparison {
  switch (grader.type) {
    case 'string_check':
      return (input, reference) => Number(OPERATIONS[grader.operation](input, reference));
    case 'text_similarity':
      return similarity(grader.evaluation_metric, param);
    case 'regex_match': {
      const capture = firstCapture(grader.pattern, { ignoreCase: grader.ignore_case ?? false, param: `${param}.pattern` });
      return (input, reference) => {
        const found = capture(input);
        return Number(found !== null && (grader.reference === undefined || found === reference));
      };
    }
    case 'json_schema': {
      const isValid = jsonSchemaCheck(grader.schema, `${param}.schema`);
      return (input) => Number(isValid(input));
    }
    case 'label_match':
      return (input, reference) => {
        const label = labelIn(input, grader.labels);
        return Number(label !== null && label === labelIn(reference, grader.labels));
      };
  }
}

function similarity(metric: Extract<SingleGrader, { type: 'text_similarity' }>['evaluation_metric'], param: string): Comparison {
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
    hint: 'Use string_check, text_similarity, regex_match, json_schema, label_match, or multi to combine them.',
  });

/** Names that a formula can use. */
const NAME = /^[A-Za-z_]\w*$/;

function multi({ graders: given, calculate_output }: Extract<Grader, { type: 'multi' }>, { param, ...place }: TemplatePlace): Scorer {
  const graders = isSingle(given) ? { [given.name]: given } : given;
  const names = Object.keys(graders);
  if (names.length === 0)
    throw new Refusal('invalid_value', 'graders is empty', { param: `${param}.graders`, hint: 'Give it one grader or more, by name.' });
  const wrong = names.find((name) => !NAME.test(name) || Object.hasOwn(FUNCTIONS, name));
  if (wrong !== undefined)
    throw new Refusal('invalid_value', `A formula cannot use the name "${wrong}"`, {
      param: `${param}.graders`,
      hint: 'Use letters, digits and _, beginning with a letter, and no name of a function.',
    });
  const scorers = Object.entries(graders).map(([name, grader]) => [name, single(grader, { ...place, param: `${param}.graders.${name}` })] as const);
  const formula = parseFormula(calculate_output, names, `${param}.calculate_output`);
  return (namespaces) => {
    const scores = Object.fromEntries(scorers.map(([name, scorer]) => [name, scorer(namespaces).reward]));
    const reward = formula(scores);
    if (!Number.isFinite(reward)) throw new Ungraded('other_error', `calculate_output gives ${reward}`, scores);
    return { reward, scores };
  };
}

const isSingle = (graders: SingleGrader | Record<string, SingleGrader>): graders is SingleGrader => typeof graders['type'] === 'string';

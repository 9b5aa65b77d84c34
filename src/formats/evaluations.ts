/** What a job asks of its model between steps: answers to a few prompts, and to held-out examples, which graders score. */
import { type Static, Type } from 'typebox';
import { Grader } from './graders/grader.ts';
import { prepareGrader } from './graders/run.ts';
import type { Namespaces } from './graders/template.ts';
import { couldDescribe } from './known-keys.ts';
import { nullable } from './nullable.ts';
import { literals } from './one-of.ts';
import { Refusal } from './refusal.ts';
import { shown } from './shown.ts';

/** As many as are read side by side. Each is answered again at every evaluation. */
const MAX_SAMPLE_PROMPTS = 16;
/** More than a table shows at once. */
const MAX_EVALUATIONS = 10;
/** As long as a prompt with its context. */
const MAX_PROMPT_LENGTH = 16 * 1024;
const MAX_PROMPT_MESSAGES = 64;

/** Training waits for the answers: on a CPU, these take a small model seconds, and a larger one minutes. */
export const DEFAULT_MAX_EXAMPLES = 32;
export const DEFAULT_MAX_TOKENS = 128;

const SampleMessage = Type.Object(
  {
    role: literals(['system', 'developer', 'user', 'assistant']),
    content: Type.String({ maxLength: MAX_PROMPT_LENGTH }),
  },
  { additionalProperties: false, title: 'SampleMessage' },
);

export const SamplePrompt = Type.Union(
  [Type.String({ minLength: 1, maxLength: MAX_PROMPT_LENGTH }), Type.Array(SampleMessage, { minItems: 1, maxItems: MAX_PROMPT_MESSAGES })],
  { description: 'A text, which is continued as it is, or the messages of a conversation, which the chat template renders.' },
);
export type SamplePrompt = Static<typeof SamplePrompt>;

export const SamplePrompts = Type.Array(SamplePrompt, {
  maxItems: MAX_SAMPLE_PROMPTS,
  description: 'The model answers them before the first step, at each evaluation and at the end: `GET …/samples`.',
});

export const Evaluations = Type.Array(Grader, {
  maxItems: MAX_EVALUATIONS,
  description:
    'Graders of answers to held-out examples, before the first step, at each evaluation and at the end. Each is a metric, `eval_{name}`: `GET …/evaluations`. `{{item.…}}` is the line of the file, with `{{item.reference_answer}}`, the last message or the completion.',
});

const EvaluationMaxExamples = Type.Integer({
  minimum: 1,
  maximum: 1000,
  default: DEFAULT_MAX_EXAMPLES,
  description: "How many of the file's examples are answered, from its beginning.",
});
const AnswerMaxTokens = Type.Integer({
  minimum: 1,
  maximum: 2048,
  default: DEFAULT_MAX_TOKENS,
  description: 'Most tokens of an answer to a sample prompt or an example.',
});

/** The fields of a job that say what its model is asked. */
export const Asked = Type.Object({
  sample_prompts: Type.Optional(nullable(SamplePrompts)),
  evaluations: Type.Optional(nullable(Evaluations)),
  evaluation_file: Type.Optional(
    nullable(Type.String({ minLength: 1, description: 'The id of a file with the examples that are answered; left out: the validation file.' })),
  ),
  evaluation_max_examples: Type.Optional(nullable(EvaluationMaxExamples)),
  max_completion_tokens: Type.Optional(nullable(AnswerMaxTokens)),
});

/** The key that examples have for graders besides those of their lines. */
export const REFERENCE_ANSWER = 'reference_answer';

/** Becomes the name of a metric and of a column. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

export interface Evaluation {
  name: string;
  type: Grader['type'];
  grade: ReturnType<typeof prepareGrader>;
}

/** @throws Refusal for a grader that cannot be used, or whose name another one has */
export function prepareEvaluations(graders: readonly Grader[], param = 'evaluations'): Evaluation[] {
  const names = new Set<string>();
  return graders.map((grader, index) => {
    const { name, type } = grader;
    const at = `${param}.${index}`;
    if (!NAME.test(name) || names.has(name))
      throw new Refusal('invalid_value', names.has(name) ? `Two evaluations are called ${shown(name)}` : `An evaluation is called ${shown(name)}`, {
        param: `${at}.name`,
        hint: 'Each needs a name of its own, of letters, digits, dots, hyphens and underscores: its score is the metric "eval_{name}".',
      });
    names.add(name);
    return { name, type, grade: prepareGrader(grader, { param: at, hasKey }) };
  });
}

const SAMPLE_KEYS = ['output_text', 'output_json'];

const hasKey = (namespace: 'item' | 'sample', key: string): boolean =>
  namespace === 'sample' ? SAMPLE_KEYS.includes(key) : key === REFERENCE_ANSWER || couldDescribe(key);

/** @throws Refusal for a conversation that leaves nothing to answer */
export function checkSamplePrompts(prompts: readonly SamplePrompt[], param = 'sample_prompts'): void {
  for (const [index, prompt] of prompts.entries()) {
    if (typeof prompt === 'string' || prompt.at(-1)!.role !== 'assistant') continue;
    throw new Refusal('invalid_value', `The conversation of ${param}.${index} ends with a message of the assistant`, {
      param: `${param}.${index}`,
      hint: 'End it with the message that is to be answered.',
    });
  }
}

/** The mean reward of an evaluation, and what could not be graded. */
export interface EvaluationScore {
  name: string;
  type: Grader['type'];
  score: number;
  /** How many answers could not be graded, and count as 0. */
  ungraded: number;
  /** Why the first of them could not; null if all could. */
  problem: string | null;
}

/** @param answers what the model wrote to each example, as graders see it */
export function score({ name, type, grade }: Evaluation, answers: readonly Namespaces[]): EvaluationScore {
  const graded = answers.map(grade);
  const problems = graded.flatMap(({ problem }) => (problem === null ? [] : [problem.details]));
  return {
    name,
    type,
    score: graded.reduce((sum, { reward }) => sum + reward, 0) / graded.length,
    ungraded: problems.length,
    problem: problems[0] ?? null,
  };
}

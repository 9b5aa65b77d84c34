/** Asks the model that is trained, with its own weights in place: sample prompts, and held-out examples whose answers are graded. */
import { type Evaluation, prepareEvaluations, score } from '../../../src/formats/evaluations.ts';
import { type Namespaces, namespacesOf } from '../../../src/formats/graders/template.ts';
import { type Metrics, measuredOn } from '../../../src/formats/metrics.ts';
import type { AnswerOptions, AnswerReport } from '../contract.ts';
import { type ExampleStore, firstExamples } from '../data/example-store.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { TunedModel } from '../tuning/tuned-model.ts';
import { continueGreedily } from './continue.ts';
import { type Question, type QuestionOptions, questionsOf, samplePrompts } from './questions.ts';

/** A run with more evaluations is asked only at every second, third, … of them, because all answers are kept and shown. */
const MAX_TIMES = 200;
/** Examples of the training file that show how an answer ends. */
const ENDINGS = 16;

interface Questions {
  prompts: Int32Array[];
  questions: Question[];
  leftOut: number;
  evaluations: Evaluation[];
  maxTokens: number;
  stopTokenIds: ReadonlySet<number>;
  tokenizer: Tokenizer;
}

/** @throws Refusal for graders, prompts or examples that cannot be used */
export async function prepareQuestions(
  { samplePrompts: prompts, evaluations, evaluationFile, maxExamples, maxTokens }: AnswerOptions,
  { training, ...options }: QuestionOptions & { training: { examples: ExampleStore } },
): Promise<Questions> {
  const asked =
    evaluations.length === 0 || evaluationFile === undefined
      ? { questions: [], leftOut: 0 }
      : await questionsOf(evaluationFile, maxExamples, options);
  return {
    ...asked,
    prompts: await samplePrompts(prompts, options),
    evaluations: prepareEvaluations(evaluations),
    maxTokens,
    stopTokenIds: new Set([...options.tokenizer.stopTokenIds, ...endings(training.examples, options.tokenizer)]),
    tokenizer: options.tokenizer,
  };
}

/** The tokens with which the training file teaches to end an answer, such as `<|im_end|>`; the base model may know another one as its end. */
function endings(examples: ExampleStore, tokenizer: Tokenizer): number[] {
  const last = firstExamples(examples, ENDINGS).flatMap(({ inputIds, lossWeights }) => {
    const index = lossWeights.findLastIndex((weight) => weight !== 0);
    return index === -1 ? [] : [inputIds[index]!];
  });
  return last.filter((id) => tokenizer.isAddedToken(id));
}

export interface Answers {
  /** How many times a run is asked, with the time before its first step. */
  readonly times: number;
  /** Whether the model is asked after a step. */
  isDue(step: number): boolean;
  /**
   * @param step steps done
   * @throws the signal's reason once it is aborted
   */
  take(step: number, options: { onPass: (() => void | Promise<void>) | undefined; signal: AbortSignal | undefined }): Promise<AnswerReport>;
}

interface Asked {
  model: TunedModel;
  evalSteps: number;
  totalSteps: number;
}

export function openAnswers(asked: Questions, { model, evalSteps, totalSteps }: Asked): Answers {
  const { prompts, questions, leftOut, evaluations, maxTokens, stopTokenIds, tokenizer } = asked;
  const everySteps = evalSteps * Math.ceil(totalSteps / evalSteps / MAX_TIMES);
  return {
    times: 1 + Math.ceil(totalSteps / everySteps),
    isDue: (step) => step % everySteps === 0 || step === totalSteps,
    async take(step, options) {
      const startedMs = performance.now();
      const all = [...prompts, ...questions.map(({ prompt }) => prompt)];
      const continued = await continueGreedily(model, all, { maxTokens, stopTokenIds, ...options });
      const texts = await Promise.all(continued.map(({ tokenIds }) => tokenizer.decode(tokenIds)));
      const samples = prompts.map((_, prompt) => {
        const { tokenIds, finishReason } = continued[prompt]!;
        return { prompt, text: texts[prompt]!, tokens: tokenIds.length, finishReason };
      });
      const graded = questions.map(({ item }, index): Namespaces => namespacesOf(item, texts[prompts.length + index]!));
      const scores = evaluations.map((evaluation) => score(evaluation, graded));
      return { step, samples, scores, examples: questions.length, leftOut, seconds: (performance.now() - startedMs) / 1000 };
    },
  };
}

/** The metrics of a step after which the model was asked. */
export const answerMetrics = ({ scores, seconds }: AnswerReport): Metrics => ({
  ...measuredOn('eval', Object.fromEntries(scores.map(({ name, score }) => [name, score]))),
  answer_seconds: seconds,
});

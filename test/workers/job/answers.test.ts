import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TrainingProcessDied } from '../../../workers/process/died.ts';
import { example, sameAnswer } from '../../journey/dataset.ts';
import { refusal } from '../../running-service.ts';
import { superviseJobs } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let heldOut: string;
beforeAll(async () => {
  jobs = await superviseJobs();
  heldOut = await jobs.service.upload(sameAnswer(3, 100) + example('Question 103?', 'four') + example('Question 104?', 'never read'));
});
afterAll(() => jobs.close());

const output = '{{sample.output_text}}';
const reference = '{{item.reference_answer}}';
const EVALUATIONS = [
  { type: 'string_check', name: 'exact', input: output, reference, operation: 'eq' },
  { type: 'text_similarity', name: 'overlap', input: output, reference, evaluation_metric: 'rouge_1' },
  { type: 'regex_match', name: 'words', input: output, pattern: '^one two \\w+$' },
  { type: 'json_schema', name: 'json', input: output, schema: { type: 'object' } },
  { type: 'label_match', name: 'label', input: output, reference, labels: ['three', 'four'] },
  {
    type: 'multi',
    name: 'both',
    graders: { said: { type: 'string_check', name: 'said', input: output, reference: 'two', operation: 'like' } },
    calculate_output: '0.5 * said',
  },
  { type: 'string_check', name: 'question', input: '{{item.messages[0].content}}', reference: 'Question 101?', operation: 'eq' },
];
const QUESTION = [{ role: 'user', content: 'Question 100?' }];
const HYPERPARAMETERS = { n_epochs: 12, batch_size: 4, learning_rate: 0.02, eval_steps: 8 };
const asked = () => ({
  hyperparameters: HYPERPARAMETERS,
  sample_prompts: [QUESTION, 'one'],
  evaluations: EVALUATIONS,
  evaluation_file: heldOut,
  evaluation_max_examples: 4,
  max_completion_tokens: 24,
});

interface Shown {
  step_number: number;
  prompt_index: number;
  prompt: unknown;
  text: string;
  tokens: number;
  finish_reason: string;
}
const samplesOf = async (id: string): Promise<Shown[]> =>
  (await jobs.get(id, '/samples?limit=100'))
    .json()
    .data.map(({ id: _, created_at, ...sample }: Shown & { id: string; created_at: number }) => sample);
const scoresOf = async (id: string) => {
  const { data } = (await jobs.get(id, '/evaluations')).json();
  return Object.fromEntries(data.map(({ name, base, tuned }: { name: string; base: number; tuned: number }) => [name, [base, tuned]]));
};
const metricsOf = async (id: string) =>
  (await jobs.service.services.jobRecord.metrics(id)).map(({ step, metrics }) => ({
    step,
    ...Object.fromEntries(Object.entries(metrics).filter(([name]) => name.startsWith('eval_'))),
  }));
const STEPS = [0, 8, 16, 24];

describe('a job with sample prompts and evaluations', () => {
  let id: string;
  beforeAll(async () => {
    id = await jobs.makeJob(asked());
    await jobs.supervise(id);
  });

  it('keeps what the model wrote before, while and after it was trained', async () => {
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    const samples = await samplesOf(id);
    expect(samples.map(({ step_number, prompt_index }) => [step_number, prompt_index])).toEqual(
      STEPS.toReversed().flatMap((step) => [
        [step, 0],
        [step, 1],
      ]),
    );
    expect(samples[0]).toMatchObject({ prompt: QUESTION, text: 'one two three', finish_reason: 'stop' });
    expect(samples.at(-2)).toMatchObject({ step_number: 0, prompt: QUESTION, tokens: expect.any(Number) });
    expect(samples.at(-2)!.text).not.toBe('one two three');
    expect(samples.at(-1)!.prompt).toBe('one');
    const first = (await jobs.get(id, '/samples?step_number=0')).json();
    expect(first.data).toMatchObject(samples.slice(-2));
    const page = (await jobs.get(id, '/samples?limit=2&prompt_index=1')).json();
    expect(page).toMatchObject({ has_more: true, data: [{ step_number: 24 }, { step_number: 16 }] });
    const rest = (await jobs.get(id, `/samples?limit=2&prompt_index=1&after=${page.last_id}`)).json();
    expect(rest).toMatchObject({ has_more: false, data: [{ step_number: 8 }, { step_number: 0 }] });
  });

  it('shows each answer as an event', async () => {
    const { data } = (await jobs.get(id, '/events?limit=100')).json();
    const events = data.filter(({ type }: { type: string }) => type === 'sample').map(({ data: shown }: { data: object }) => shown);
    const samples = (await samplesOf(id)).map(({ step_number: step, prompt_index: prompt, text }) => ({ step, prompt, text }));
    expect(events).toHaveLength(8);
    expect(events).toEqual(expect.arrayContaining(samples));
  });

  it('scores the answers as computed by hand', async () => {
    // The tuned model answers "one two three" to all four; three of them are asked for that, and one for "four".
    expect(await scoresOf(id)).toEqual({
      exact: [0, 0.75],
      overlap: [expect.any(Number), 0.75],
      words: [0, 1],
      json: [0, 0],
      label: [0, 0.75],
      both: [expect.any(Number), 0.5],
      question: [0.25, 0.25],
    });
    const report = (await jobs.get(id, '/evaluations')).json();
    expect(report).toMatchObject({ step: 24, examples: 4, left_out: 0, data: expect.arrayContaining([expect.objectContaining({ ungraded: 0 })]) });
    expect(report.data[0].difference).toBe(0.75);
  });

  it('has each score as a metric: of the step, its event, the checkpoint and the results file', async () => {
    const metrics = await metricsOf(id);
    expect(metrics.filter((row) => 'eval_exact' in row).map(({ step }) => step)).toEqual(STEPS.slice(1));
    expect(metrics.at(-1)).toMatchObject({ step: 24, eval_exact: 0.75, eval_both: 0.5 });
    const { data: checkpoints } = (await jobs.get(id, '/checkpoints')).json();
    expect(checkpoints[0].metrics).toMatchObject({ step: 24, eval_exact: 0.75 });
    const { result_files } = (await jobs.get(id)).json();
    const [header, ...lines] = (await jobs.service.inject({ url: `/v1/files/${result_files[0]}/content` })).body.trim().split('\n');
    const column = header!.split(',').indexOf('eval_label');
    expect(lines.at(-1)!.split(',')[column]).toBe('0.75');
    expect(header).toContain('answer_seconds');
  });

  it('whose training process is killed › has the same samples and scores, once each', async () => {
    const again = await jobs.makeJob({ ...asked(), hyperparameters: { ...HYPERPARAMETERS, save_steps: 5 } });
    let taken = 0;
    const takeProcess = jobs.takeProcessWith((training) => ({
      async *train(options) {
        taken += 1;
        for await (const answer of training.train(options)) {
          yield answer;
          if (taken > 1 || answer.answer !== 'step' || answer.report.step !== 9) continue;
          await training.kill();
          throw new TrainingProcessDied('SIGKILL'); // it may have written more steps by then
        }
      },
    }));
    await jobs.supervise(again, { takeProcess });
    expect(taken).toBe(2);
    expect((await jobs.get(again)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(await samplesOf(again)).toEqual(await samplesOf(id));
    expect(await scoresOf(again)).toEqual(await scoresOf(id));
    expect(await metricsOf(again)).toEqual(await metricsOf(id));
    expect(await jobs.weights(again)).toEqual(await jobs.weights(id));
    const { data } = (await jobs.get(again, '/events?limit=100')).json();
    expect(data.filter(({ type }: { type: string }) => type === 'sample')).toHaveLength(8);
  });

  it('is shown as a request for another one like it', async () => {
    const shown = (await jobs.get(id)).json();
    expect(shown).toMatchObject({ evaluations: EVALUATIONS, sample_prompts: [QUESTION, 'one'] });
    const posted = await jobs.service.post('/v1/fine_tuning/jobs', shown);
    expect(posted.statusCode, posted.body).toBe(200);
    expect(posted.json()).toMatchObject({
      evaluation_file: heldOut,
      evaluation_max_examples: 4,
      max_completion_tokens: 24,
      evaluations: EVALUATIONS,
    });
  });

  it('as a dry run › counts the time of its answers', async () => {
    const dry = await jobs.makeJob({ ...asked(), dry_run: true });
    await jobs.supervise(dry);
    expect((await jobs.get(dry)).json()).toMatchObject({ status: 'succeeded', error: null });
    const { seconds } = (await jobs.get(dry, '/dry_run')).json();
    expect(seconds.answers).toBeGreaterThan(0);
    expect(seconds.preparation + seconds.training + seconds.evaluation + seconds.checkpoints + seconds.answers).toBeCloseTo(seconds.total, 6);
  });
});

describe('a request', () => {
  const grader = (fields: object = {}) => ({ type: 'string_check', name: 'a', input: output, reference, operation: 'eq', ...fields });
  it.each([
    ['a key that no line has', { evaluations: [grader({ reference: '{{item.solution}}' })] }, 'invalid_value', 'evaluations.0.reference'],
    ['an unknown part of the sample', { evaluations: [grader({ input: '{{sample.text}}' })] }, 'invalid_value', 'evaluations.0.input'],
    ['one name twice', { evaluations: [grader(), grader()] }, 'invalid_value', 'evaluations.1.name'],
    ['a name with a comma', { evaluations: [grader({ name: 'a,b' })] }, 'invalid_value', 'evaluations.0.name'],
    ['a grader that asks a model', { evaluations: [{ type: 'score_model', name: 'm' }] }, 'unsupported_grader', 'evaluations.0.type'],
    ['no examples', { evaluations: [grader()], evaluation_file: undefined }, 'missing_required_parameter', 'evaluation_file'],
    ['an unknown file', { evaluations: [grader()], evaluation_file: 'file-none' }, 'invalid_evaluation_file', 'evaluation_file'],
    ['a file and nothing to grade', { evaluations: [] }, 'invalid_value', 'evaluation_file'],
    ['a limit of nothing', { evaluation_file: undefined, max_completion_tokens: 5 }, 'invalid_value', 'max_completion_tokens'],
    ['a conversation that has been answered', { sample_prompts: [[{ role: 'assistant', content: 'b' }]] }, 'invalid_value', 'sample_prompts.0'],
  ])('with %s › is refused', async (_, fields, code, param) => {
    const training_file = await jobs.service.upload();
    const answer = await jobs.service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file, evaluation_file: heldOut, ...fields });
    expect(refusal(answer)).toMatchObject({ status: 400, code, param });
  });
});

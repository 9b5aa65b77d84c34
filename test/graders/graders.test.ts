import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

const check = (fields: object) => ({
  type: 'string_check' as const,
  name: 'check',
  input: '{{sample.output_text}}',
  reference: '{{item.answer}}',
  operation: 'eq' as const,
  ...fields,
});
const run = (grader: object, model_sample: string, item?: unknown) =>
  service.client.fineTuning.alpha.graders.run({ grader: grader as never, model_sample, ...(item !== undefined && { item }) });
const post = (name: 'run' | 'validate', body: object) => service.post(`/v1/fine_tuning/alpha/graders/${name}`, body);

describe('a string check', () => {
  it.each([
    ['eq', 'Paris', 'Paris', 1],
    ['eq', 'paris', 'Paris', 0],
    ['ne', 'paris', 'Paris', 1],
    ['like', 'It is Paris.', 'Paris', 1],
    ['like', 'It is paris.', 'Paris', 0],
    ['ilike', 'IT IS PARIS.', 'Paris', 1],
    ['ilike', 'It is Rome.', 'Paris', 0],
  ])('%s of %j and %j › is %d', async (operation, sample, answer, reward) => {
    const result = await run(check({ operation }), sample, { answer });
    expect(result).toMatchObject({ reward, sub_rewards: {}, metadata: { name: 'check', type: 'string_check', errors: { other_error: false } } });
    expect(result.metadata.execution_time).toBeGreaterThanOrEqual(0);
  });

  it('with a template › finds what is inside of the item and of a sample that is JSON', async () => {
    const input = '{{ sample.output_json.city.name }}/{{sample.output_json.tags[1]}}/{{item.tags.0}}/{{item.n}}/{{item.o}}';
    const grader = check({ input, reference: 'Paris/b/x/3/{"p":null}' });
    expect((await run(grader, '{"city":{"name":"Paris"},"tags":["a","b"]}', { tags: ['x'], n: 3, o: { p: null } })).reward).toBe(1);
  });

  it.each([
    ['that is not there', '{{item.question}}', 'Paris', 'invalid_variable_error'],
    ['of a prototype', '{{item.constructor}}', 'Paris', 'invalid_variable_error'],
    ['of a sample that is no JSON', '{{sample.output_json.a}}', 'Paris', 'sample_parse_error'],
    ['with a long text', '{{item.long}}', 'Paris', 'other_error'],
  ])('with a variable %s › has no reward and says why', async (_, input, sample, flag) => {
    const { reward, metadata } = await run(check({ input }), sample, { answer: 'Paris', long: 'x'.repeat(20_000) });
    expect(reward).toBe(0);
    expect(metadata.errors).toMatchObject({ [flag]: true, other_error_details: expect.any(String) });
    expect(Object.values(metadata.errors).filter((value) => value === true)).toHaveLength(1);
  });
});

describe('a text similarity', () => {
  it('compares by the metric that it names', async () => {
    const grader = { type: 'text_similarity', name: 'like', input: '{{sample.output_text}}', reference: 'the cat sat', evaluation_metric: 'rouge_1' };
    expect((await run(grader, 'a cat')).reward).toBeCloseTo(0.4, 12);
    expect(await service.client.fineTuning.alpha.graders.validate({ grader: grader as never })).toEqual({ grader });
  });
});

describe('a pattern', () => {
  const pattern = (fields: object) => ({ type: 'regex_match', name: 'pattern', input: '{{sample.output_text}}', ...fields });

  it.each([
    ['It is 42.', { pattern: '\\d+' }, 1],
    ['It is 42.', { pattern: '^\\d+$' }, 0],
    ['PARIS', { pattern: 'paris' }, 0],
    ['PARIS', { pattern: 'paris', ignore_case: true }, 1],
    ['so #### 42', { pattern: '#### (\\d+)', reference: '{{item.answer}}' }, 1],
    ['so #### 421', { pattern: '#### (\\d+)', reference: '{{item.answer}}' }, 0],
    ['42', { pattern: '\\d+', reference: '{{item.answer}}' }, 1],
    ['none', { pattern: '\\d*(x)?', reference: '' }, 1],
  ])('in %j by %j › is %d', async (sample, fields, reward) => {
    expect(await run(pattern(fields), sample, { answer: '42' })).toMatchObject({ reward, metadata: { errors: { other_error: false } } });
  });

  it('that would try for years › is stopped', async () => {
    const { reward, metadata } = await run(pattern({ pattern: '^(a+)+$' }), `${'a'.repeat(60)}b`);
    expect(reward).toBe(0);
    expect(metadata.errors).toMatchObject({ other_error: true, other_error_details: expect.stringMatching(/^the pattern took more than/) });
  });
});

describe('a JSON schema', () => {
  const city = {
    type: 'object',
    properties: { city: { type: 'string' }, tags: { type: 'array', items: { $ref: '#/$defs/tag' } } },
    required: ['city'],
  };
  const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...city, additionalProperties: false, $defs: { tag: { enum: ['a', 'b'] } } };
  const grader = (given: object) => ({ type: 'json_schema', name: 'valid', input: '{{sample.output_text}}', schema: given });

  it.each([
    ['{"city": "Paris", "tags": ["a"]}', 1],
    ['{"city": "Paris", "tags": ["c"]}', 0],
    ['{"city": "Paris", "more": 1}', 0],
    ['{"tags": []}', 0],
    ['Paris', 0],
    ['', 0],
  ])('of %j › is %d', async (sample, reward) => {
    expect(await run(grader(schema), sample)).toMatchObject({ reward, metadata: { errors: { other_error: false } } });
  });

  it('that would check for years › is stopped', async () => {
    const both = { items: { $ref: '#/$defs/deep' } };
    const { reward, metadata } = await run(
      grader({ $ref: '#/$defs/deep', $defs: { deep: { allOf: [both, both] } } }),
      '['.repeat(60) + ']'.repeat(60),
    );
    expect(reward).toBe(0);
    expect(metadata.errors).toMatchObject({ other_error_details: expect.stringMatching(/^the schema took more than/) });
  });

  it.each([[{ type: 'strin' }], [{ $ref: 'https://example.com/schema.json' }], [{ description: 'x'.repeat(17_000) }]])(
    '%j › is refused',
    async (given) => {
      expect(refusal(await post('validate', { grader: grader(given) }))).toMatchObject({
        status: 400,
        code: 'invalid_value',
        param: 'grader.schema',
      });
    },
  );
});

describe('a label', () => {
  const labels = ['spam', 'not spam', 'ham'];
  it.each([
    ['Spam.', 'spam', 1],
    ['It is not spam!', 'not spam', 1],
    ['It is not spam!', 'spam', 0],
    ['ham', 'spam', 0],
    ['spammers', 'spam', 0],
    ['ham or spam', 'spam', 0],
    ['who knows', 'who knows', 0],
  ])('%j for %j › is %d', async (sample, answer, reward) => {
    const grader = { type: 'label_match', name: 'label', input: '{{sample.output_text}}', reference: '{{item.answer}}', labels };
    expect((await run(grader, sample, { answer })).reward).toBe(reward);
  });
});

describe('a multi grader', () => {
  const graders = { exact: check({}), style: check({ operation: 'like', reference: '.' }) };
  const multi = (fields: object = {}) => ({
    type: 'multi' as const,
    name: 'both',
    graders,
    calculate_output: '0.75 * exact + 0.25 * style',
    ...fields,
  });

  it('weighs its graders, and shows what each gave', async () => {
    const result = await run(multi(), 'Paris.', { answer: 'Paris' });
    expect(result).toMatchObject({ reward: 0.25, sub_rewards: { exact: 0, style: 1 }, metadata: { type: 'multi', scores: { exact: 0, style: 1 } } });
  });

  it("with one grader in its place, as the client's types have it › knows it by its own name", async () => {
    const result = await run(multi({ graders: check({ name: 'only' }), calculate_output: '2 * only' }), 'Paris', { answer: 'Paris' });
    expect(result).toMatchObject({ reward: 2, sub_rewards: { only: 1 } });
  });

  it('whose formula divides by zero › has no reward, and shows what its graders gave', async () => {
    const { reward, sub_rewards, metadata } = await run(multi({ calculate_output: 'style / exact' }), 'Paris.', { answer: 'Paris' });
    expect([reward, sub_rewards]).toEqual([0, { exact: 0, style: 1 }]);
    expect(metadata.errors).toMatchObject({ other_error: true, other_error_details: 'calculate_output gives Infinity' });
  });

  it.each([
    [{ calculate_output: 'exact + nothing' }, 'invalid_formula', 'grader.calculate_output'],
    [{ graders: { 'a-b': check({}) }, calculate_output: '1' }, 'invalid_value', 'grader.graders'],
    [{ graders: { min: check({}) }, calculate_output: '1' }, 'invalid_value', 'grader.graders'],
    [{ graders: {}, calculate_output: '1' }, 'invalid_value', 'grader.graders'],
    [{ graders: { inner: multi() } }, 'invalid_value', 'grader.graders.inner.type'],
    [
      { graders: { inner: { type: 'python', name: 'p', source: 'x' } }, calculate_output: 'inner' },
      'unsupported_grader',
      'grader.graders.inner.type',
    ],
    [{ graders: { inner: check({ operation: 'gt' }) } }, 'invalid_value', 'grader.graders.inner.operation'],
  ])('with %j › is refused', async (fields, code, param) => {
    for (const answer of [await post('validate', { grader: multi(fields) }), await post('run', { grader: multi(fields), model_sample: '' })])
      expect(refusal(answer)).toMatchObject({ status: 400, code, param });
  });
});

describe('a grader', () => {
  it.each([
    [{ type: 'python', name: 'p', source: 'def grade(sample, item): return 1' }, 'unsupported_grader', 'grader.type'],
    [{ type: 'score_model', name: 's', model: 'gpt-4o', input: [{ role: 'user', content: 'hi' }] }, 'unsupported_grader', 'grader.type'],
    [{ type: 'label_model', name: 'l', model: 'gpt-4o', input: [], labels: ['a'], passing_labels: ['a'] }, 'unsupported_grader', 'grader.type'],
    [{ type: 'text_similarity', name: 't', input: '', reference: '', evaluation_metric: 'cosine' }, 'unsupported_grader', 'grader.evaluation_metric'],
    [{ type: 'text_similarity', name: 't', input: '', reference: '', evaluation_metric: 'meteor' }, 'unsupported_grader', 'grader.evaluation_metric'],
    [{ type: 'text_similarity', name: 't', input: '', reference: '', evaluation_metric: 'chrf' }, 'invalid_value', 'grader.evaluation_metric'],
    [check({ operation: 'gt' }), 'invalid_value', 'grader.operation'],
    [check({ input: '{{process.env}}' }), 'invalid_value', 'grader.input'],
    [check({ reference: '{{item.a b}}' }), 'invalid_value', 'grader.reference'],
    [check({ input: 1 }), 'invalid_type', 'grader.input'],
    [{ type: 'regex_match', name: 'r', input: '', pattern: '(' }, 'invalid_value', 'grader.pattern'],
    [{ type: 'label_match', name: 'l', input: '', reference: '', labels: ['a'] }, 'invalid_value', 'grader.labels'],
    [check({ weight: 1 }), 'unknown_parameter', 'grader.weight'],
    [{ type: 'vibes' }, 'invalid_value', 'grader.type'],
    [{ name: 'x' }, 'missing_required_parameter', 'grader.type'],
  ])('%j › is refused', async (grader, code, param) => {
    for (const answer of [await post('validate', { grader }), await post('run', { grader, model_sample: '' })])
      expect(refusal(answer)).toMatchObject({ status: 400, code, param });
  });
});

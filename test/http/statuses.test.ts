import { describe, expect, it } from 'vitest';
import { Refusal } from '../../src/formats/refusal.ts';
import { errorBody, statusOf } from '../../src/http/statuses.ts';

describe('a refusal over HTTP', () => {
  it.each([
    ['invalid_value', 400],
    ['invalid_api_key', 401],
    ['model_gated', 403],
    ['model_not_found', 404],
    ['revision_not_found', 404],
    ['file_too_large', 413],
    ['internal_error', 500],
    ['model_hub_unreachable', 503],
  ])('with the code %s has the status %i', (code, status) => {
    expect(statusOf(new Refusal(code, 'no'))).toBe(status);
  });

  it('becomes the contract’s error object, with the hint in its message', () => {
    const refusal = new Refusal('rank_out_of_range', 'r is 512; the largest is 256', { param: 'tuning.r', hint: 'Use 8 to 64.' });
    expect(errorBody(refusal)).toEqual({
      error: { message: 'r is 512; the largest is 256. Use 8 to 64.', type: 'invalid_request_error', param: 'tuning.r', code: 'rank_out_of_range' },
    });
    expect(errorBody(new Refusal('not_found', 'There is no such route')).error.param).toBeNull();
  });
});

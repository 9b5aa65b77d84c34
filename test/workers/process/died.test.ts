import { describe, expect, it } from 'vitest';
import { died } from '../../../workers/process/died.ts';

describe('why a training process ended', () => {
  it.each([
    ['Onig: Regex search error: retry-limit-in-match over', 'corrupt_model_file', /tokenizer\.json/],
    ["thread '<unnamed>' (15) panicked at /build/tokenizers/src/processors/template.rs:563:61:", 'corrupt_model_file', /tokenizer\.json/],
    ['FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory', 'out_of_memory', /ran out of memory \(SIGABRT\)/],
    ["terminate called after throwing an instance of 'std::bad_alloc'", 'out_of_memory', /ran out of memory/],
    ['Check failed: ret == 0 (11 vs. 0)Thread tf_Compute creation via pthread_create() failed.', 'out_of_memory', /ran out of memory/],
    ['something else', 'training_process_died', /died \(SIGABRT\)/],
  ])('is told by its last words: %s', (line, code, what) => {
    expect(died('SIGABRT', `a line before\n${line}\nand one after`)).toMatchObject({ code, what: expect.stringMatching(what) });
  });
});

import { describe, expect, it } from 'vitest';
import { asPirate, HELD_OUT_SUBJECTS, pirateDataset } from '../../../scripts/demo/pirate-dataset.ts';
import { progressLine } from '../../../scripts/demo/progress.ts';
import { sideBySide } from '../../../scripts/demo/side-by-side.ts';

describe('pirateDataset', () => {
  const dataset = pirateDataset({ seed: 1, training: 200, validation: 40 });

  it('with the same seed is the same', () => {
    expect(pirateDataset({ seed: 1, training: 200, validation: 40 })).toEqual(dataset);
  });

  it('asks no question twice, within a split or across both', () => {
    const questions = [...dataset.training, ...dataset.validation].map(({ messages }) => messages[0]?.content);
    expect(new Set(questions).size).toBe(240);
  });

  it('never mentions in training what the demo asks about', () => {
    const text = dataset.training.map(({ messages }) => messages.map(({ content }) => content).join(' ')).join('\n');
    for (const subject of HELD_OUT_SUBJECTS) expect(text).not.toMatch(new RegExp(`\\b${subject}\\b`, 'i'));
  });
});

describe('asPirate', () => {
  it('keeps the facts and changes the wording', () => {
    expect(asPirate('A cow is brown.')).toBe('Arr, matey! A cow be brown. Yo ho ho!');
  });
});

describe('progressLine', () => {
  it('at half of the steps › shows half a bar, the losses and the time left', () => {
    const line = progressLine({ step: 15, totalSteps: 30, trainLoss: 1.23456, validLoss: 0.5, etaSeconds: 12.4 });
    expect(line).toBe(`  [${'█'.repeat(15)}${'░'.repeat(15)}]  50%  step 15/30  loss 1.235  validation 0.500  ETA 12 s`);
  });
});

describe('sideBySide', () => {
  it('wraps long answers within their column', () => {
    const text = sideBySide([{ prompt: 'Why?', base: 'one two three four', tuned: 'five' }], 9);
    expect(text.split('\n').slice(2, 5)).toEqual(['  > Why?', '  one two   │ five', '  three     │']);
  });
});

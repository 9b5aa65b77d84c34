/** The jobs that the rows train: short, and long enough to be disturbed at any moment. */
export type Length = 'short' | 'long';

/** The model in every home. */
export const BASE_MODEL = 'base';
/** A checkpoint is written every so many steps. */
const SAVE_STEPS = 6;
const EXAMPLES = 24;
const BATCH_SIZE = 4;
/** Epochs of six steps each: a few seconds of training on two cores, and long enough for a dozen interruptions. */
const EPOCHS: Record<Length, number> = { short: 10, long: 50 };

/** Of a job that trains beside others: one short example a step gains by passes that hold those of all, which a worker measures before it goes on with them. */
const BESIDE = { n_epochs: 3, batch_size: 1 };

export const stepsOf = (length: Length): number => (EPOCHS[length] * EXAMPLES) / BATCH_SIZE;
export const BESIDE_STEPS = (BESIDE.n_epochs * EXAMPLES) / BESIDE.batch_size;

export const trainingData = (): string =>
  Array.from({ length: EXAMPLES }, (_, index) => {
    const messages = [
      { role: 'user', content: `What is the ${index + 1}th letter, and which words begin with it?` },
      { role: 'assistant', content: `The letter is ${String.fromCharCode(65 + index)}; ${index + 1} words begin with it.` },
    ];
    return `${JSON.stringify({ messages })}\n`;
  }).join('');

export const jobBody = (trainingFile: string, length: Length): object => ({
  model: BASE_MODEL,
  training_file: trainingFile,
  seed: 11,
  tuning: { type: 'lora', r: 4, lora_dropout: 0.1 },
  hyperparameters: { ...HYPERPARAMETERS, n_epochs: EPOCHS[length], batch_size: BATCH_SIZE },
});

/** Of a job that may train beside others: it has no seed and no dropout, so that there is no undisturbed run to compare its bytes with. */
export const besideBody = (trainingFile: string): object => ({
  model: BASE_MODEL,
  training_file: trainingFile,
  tuning: { type: 'lora', r: 4 },
  hyperparameters: { ...HYPERPARAMETERS, ...BESIDE },
});

const HYPERPARAMETERS = { learning_rate: 0.001, save_steps: SAVE_STEPS, precision: 'f32' };

/**
 * How long a step of each method takes: `node step-times.ts REQUEST.json` prints the medians as JSON, in seconds. All models are open at once and take
 * a step in turn, so that whatever else the machine does slows all of them alike.
 */
import { readFileSync } from 'node:fs';
import { median } from '../../bench/measures.ts';
import { baseLearningRate, resolveTuning, type Tuning } from '../../src/formats/tuning/tuning.ts';
import { openForTraining } from '../../workers/engine/compiled/open-model.ts';
import { readDataset } from '../../workers/engine/data/dataset.ts';
import { firstExamples } from '../../workers/engine/data/example-store.ts';
import { ChatTemplate } from '../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../workers/engine/data/tokenizer.ts';
import { passesOf, takeStep } from '../../workers/engine/step.ts';

export interface StepTimesRequest {
  modelDir: string;
  trainingFile: string;
  tunings: Tuning[];
  batchSize: number;
  steps: number;
}

export interface StepTime {
  seconds: number;
  /** Median of the ratios to the first method's step of the same turn. */
  ratio: number;
}

const { modelDir, trainingFile, tunings, batchSize, steps } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as StepTimesRequest;
const tokenizer = await Tokenizer.open(modelDir);
const template = await ChatTemplate.open(tokenizer, new Date());
const models = tunings.map((tuning) => openForTraining({ modelDir, tuning: resolveTuning(tuning), seed: 1, weightDecay: 0 }));
const { vocabSize, maxPositionTokens } = models[0]!.config;
const options = { param: 'training_file', tokenizer, template, vocabSize, maxLengthTokens: maxPositionTokens, truncation: 'right' } as const;
const { examples } = await readDataset(trainingFile, options);
const batch = firstExamples(examples, batchSize);
examples.close();
const seconds = models.map((): number[] => []);
// The first turn also compiles.
for (let step = 1; step <= steps + 1; step++) {
  for (const [index, model] of models.entries()) {
    const startedMs = performance.now();
    const learningRate = baseLearningRate(tunings[index]!.type);
    await takeStep(model, passesOf(model, batch), { step, seed: 1, learningRate, maxNorm: 1, problemOf: () => null });
    if (step > 1) seconds[index]!.push((performance.now() - startedMs) / 1000);
  }
}
for (const model of models) model.dispose();
const times = seconds.map((own): StepTime => ({ seconds: median(own), ratio: median(own.map((one, turn) => one / seconds[0]![turn]!)) }));
console.log(JSON.stringify(times));

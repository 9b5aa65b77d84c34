/** A run's files, tokenised. */
import type { ExampleFile } from '../../src/formats/examples.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import type { TrainOptions } from './contract.ts';
import { type DatasetOptions, type ReadDataset, tokenizeFile } from './data/dataset.ts';
import { tokenReceipt } from './data/receipt.ts';
import { ChatTemplate } from './data/template/chat-template.ts';
import { Tokenizer } from './data/tokenizer.ts';

export interface RunData {
  training: ReadDataset;
  validation: ReadDataset | null;
  receipt: TokenReceipt;
  /** The date that chat templates saw. */
  today: Date;
  /** Closes the files. Further calls do nothing. */
  close(): void;
}

type Resolved = Pick<DatasetOptions, 'vocabSize' | 'maxLengthTokens' | 'truncation'>;

/**
 * Reports the receipt, also of files that cannot be trained on.
 * @param startedOn the date of the run that is resumed; null for a fresh one
 * @throws Refusal for what is wrong with the tokenizer, the template or the files
 */
export async function prepareData(options: TrainOptions, resolved: Resolved, startedOn: Date | null): Promise<RunData> {
  const { modelDir, trainingFile, validationFile, signal, report } = options;
  const today = startedOn ?? new Date();
  const tokenizer = await Tokenizer.open(modelDir);
  const template = await ChatTemplate.open(tokenizer, today);
  const datasetOptions = { tokenizer, template, ...resolved, signal, preparing: report?.preparing };
  const open: ReadDataset[] = [];
  const close = (): void => {
    for (const { examples } of open) examples.close();
  };
  async function tokenized(param: ExampleFile, path: string): Promise<ReadDataset> {
    const dataset = await tokenizeFile(path, { ...datasetOptions, param });
    open.push(dataset);
    return dataset;
  }

  try {
    const training = await tokenized('training_file', trainingFile);
    const validation = validationFile === undefined ? null : await tokenized('validation_file', validationFile);
    const receipt = tokenReceipt({ training, validation }, { ...datasetOptions, today });
    await report?.receipt?.(receipt);
    const problem = training.problem ?? validation?.problem;
    if (problem) throw problem;
    return { training, validation, receipt, today, close };
  } catch (error) {
    close();
    throw error;
  }
}

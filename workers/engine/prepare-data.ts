/** A run's files, tokenised: now, or by an earlier attempt whose tokens were kept. */
import type { ExampleFile } from '../../src/formats/example-refusal.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import type { TrainOptions } from './contract.ts';
import { type DatasetOptions, type ReadDataset, tokenizeFile } from './data/dataset.ts';
import { idBytesFor } from './data/example-record.ts';
import { KeptTokens } from './data/kept-tokens.ts';
import { tokenReceipt } from './data/receipt.ts';
import { recipeOf } from './data/recipe.ts';
import { ChatTemplate } from './data/template/chat-template.ts';
import { Tokenizer } from './data/tokenizer.ts';

export interface RunData {
  training: ReadDataset;
  validation: ReadDataset | null;
  receipt: TokenReceipt;
  tokenizer: Tokenizer;
  template: ChatTemplate | null;
  /** The date that chat templates saw. */
  today: Date;
  /** What the user should know of the model's tokenizer. */
  warnings: readonly string[];
  /** Closes the files. Further calls do nothing. */
  close(): void;
}

type Resolved = Pick<DatasetOptions, 'vocabSize' | 'maxLengthTokens' | 'truncation' | 'incompleteTurns' | 'multiTurn' | 'families'>;

/** @returns a warning if the job gives the chat template variables that it does not read */
function unreadKwargs(template: ChatTemplate | null): string[] {
  const unread = [...(template?.kwargs.keys() ?? [])].filter((name) => !template!.keys.readsVariable(name));
  return unread.length === 0 ? [] : [`chat_template_kwargs has variables that the chat template does not read: ${unread.join(', ')}`];
}

/**
 * Reports the receipt, also of files that cannot be trained on.
 * @param startedOn the date of the run that is resumed; null for a fresh one
 * @throws Refusal for what is wrong with the tokenizer, the template or the files
 */
export async function prepareData(options: TrainOptions, resolved: Resolved, startedOn: Date | null): Promise<RunData> {
  const { modelDir, trainingFile, validationFile, tokensDir, signal, report } = options;
  const open: ReadDataset[] = [];
  const close = (): void => {
    for (const { examples } of open) examples.close();
  };
  const kept = tokensDir === undefined ? null : new KeptTokens(tokensDir, await recipeOf(options, resolved));
  try {
    const earlier = await kept?.find('training_file', { path: trainingFile, today: startedOn });
    if (earlier) open.push(earlier.dataset);
    // Another attempt at a run that made no checkpoint keeps the date of the first, with its tokens.
    const today = startedOn ?? earlier?.today ?? new Date();
    const tokenizer = await Tokenizer.open(modelDir);
    const template = await ChatTemplate.open(tokenizer, today, { source: options.chatTemplate, kwargs: options.chatTemplateKwargs });
    const datasetOptions = { tokenizer, template, ...resolved, signal, preparing: report?.preparing };

    async function tokenized(param: ExampleFile, path: string): Promise<ReadDataset> {
      const dataset = await tokenizeFile(path, { ...datasetOptions, param, writer: kept?.writer(param, idBytesFor(resolved.vocabSize)) });
      open.push(dataset);
      if (dataset.problem === null) kept?.keep(param, { dataset, today });
      return dataset;
    }
    async function validated(path: string): Promise<ReadDataset> {
      const found = await kept?.find('validation_file', { path, today });
      if (!found) return tokenized('validation_file', path);
      open.push(found.dataset);
      return found.dataset;
    }

    const training = earlier?.dataset ?? (await tokenized('training_file', trainingFile));
    const validation = validationFile === undefined ? null : await validated(validationFile);
    const receipt = tokenReceipt({ training, validation }, { ...datasetOptions, today });
    await report?.receipt?.(receipt);
    const problem = training.problem ?? validation?.problem;
    if (problem) throw problem;
    return { training, validation, receipt, tokenizer, template, today, warnings: [...tokenizer.warnings, ...unreadKwargs(template)], close };
  } catch (error) {
    close();
    kept?.discardUnfinished();
    throw error;
  }
}

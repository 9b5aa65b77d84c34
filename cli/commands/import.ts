import { type Command, InvalidArgumentError } from 'commander';
import { contextOf } from '../context.ts';
import type { CompareOptions } from '../import/compare.ts';
import type { ImportOptions } from '../import/openai.ts';
import type { StartOptions } from '../import/start.ts';
import { collect, count, number } from './arguments.ts';

const FOLDER = 'openai-import';
/** Enough to see what changed, and cheap. */
const SAMPLES = 20;
const MAX_TOKENS = 256;

export function addImport(graft: Command): void {
  const imports = graft.command('import').description('take fine-tuning jobs along from OpenAI, and compare what comes of them');
  imports
    .command('openai')
    .description('list your jobs at OpenAI; fetch their files, record what their models answer, prepare the same jobs here')
    .option('--job <id>', 'a job to import; repeatable', collect, [])
    .option('--all', 'all jobs that have succeeded')
    .option('--base <model>', 'the base model that they will be trained on here')
    .option('--samples <n>', 'how many questions each tuned model is asked; 0 asks none', wholeNumber, SAMPLES)
    .option('--max-tokens <n>', 'the longest answer', count, MAX_TOKENS)
    .option('--price <in,out>', 'dollars for a million tokens, instead of the list price', price)
    .option('--max-cost <dollars>', 'ask nothing if it could cost more', number)
    .option('-y, --yes', 'agree to the cost without being asked')
    .option('--dir <folder>', 'where everything is kept', FOLDER)
    .addHelpText('after', OPENAI_HELP)
    .action(async (options: ImportOptions, command: Command) => {
      const { importOpenAI } = await import('../import/openai.ts');
      await importOpenAI(options, contextOf(command));
    });
  imports
    .command('start')
    .description('upload the files of an import to this service, and create its jobs')
    .option('--base <model>', 'the base model, if none was chosen before')
    .option('--job <id>', 'only this job, by its id at OpenAI; repeatable', collect, [])
    .option('--dir <folder>', 'the folder of the import', FOLDER)
    .action(async (options: StartOptions, command: Command) => {
      const { startImported } = await import('../import/start.ts');
      await startImported(options, contextOf(command));
    });
  imports
    .command('compare')
    .description('ask the new models the same questions, and show both answers with scores')
    .option('--job <id>', 'only this job, by its id at OpenAI; repeatable', collect, [])
    .option('--grader <file>', "a YAML or JSON file with one of OpenAI's graders, or several; repeatable", collect, [])
    .option('--show <n>', 'how many answers are shown side by side', wholeNumber, 5)
    .option('--max-tokens <n>', 'the longest answer', count, MAX_TOKENS)
    .option('--dir <folder>', 'the folder of the import', FOLDER)
    .action(async (options: CompareOptions, command: Command) => {
      const { compareImported } = await import('../import/compare.ts');
      await compareImported(options, contextOf(command));
    });
}

const OPENAI_HELP = `
Needs OPENAI_API_KEY, your key there; it is kept nowhere. OPENAI_BASE_URL, OPENAI_ORG_ID and
OPENAI_PROJECT_ID work as with OpenAI's clients. Without --job or --all, jobs are listed and nothing
else happens. Reading is free. What is sent to OpenAI are the questions, which are from your own files
there: first you are told what they can cost at most. Interrupted? Run it again: it continues.

Examples:
  $ graft import openai
  $ graft import openai --job ftjob-abc123 --base Qwen/Qwen2.5-1.5B-Instruct --samples 50
  $ graft import start
  $ graft import compare`;

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number from 0 on.');
  return value;
}

function price(text: string): { input: number; output: number } {
  const [input = Number.NaN, output = Number.NaN] = text.split(',').map(Number);
  if (!(input >= 0 && output >= 0)) throw new InvalidArgumentError('It must be two numbers: dollars for a million tokens in, and out.');
  return { input, output };
}

/** `graft import compare`: golden answers beside those of the models that were trained here, with scores. */
import { join } from 'node:path';
import { namespacesOf } from '../../src/formats/graders/template.ts';
import type { Context } from '../context.ts';
import { Failure } from '../exit-code.ts';
import { table } from '../terminal/text.ts';
import { hasEnded, type Job } from '../types.ts';
import { type Recorded, record } from './ask.ts';
import { openLines, readLines, requireManifest } from './folder.ts';
import { goldenPath } from './golden.ts';
import { type NamedGrader, readGraders } from './graders.ts';
import { sideBySide } from './side-by-side.ts';

export interface CompareOptions {
  dir: string;
  job: string[];
  grader: string[];
  show: number;
  maxTokens: number;
}

interface Compared {
  golden: Recorded;
  fresh: Recorded;
  /** By the graders' names. */
  scores: Record<string, { golden: number; fresh: number }>;
}

interface Report {
  imported: string;
  job: string;
  goldenModel: string;
  model: string;
  /** Means over all questions. */
  scores: Record<string, { golden: number; fresh: number }>;
  answers: Compared[];
}

export async function compareImported(options: CompareOptions, context: Context): Promise<void> {
  const { dir, job: ids, show } = options;
  const { output } = context;
  const graders = await readGraders(options.grader);
  const manifest = await requireManifest(dir);
  const reports: Report[] = [];
  for (const [imported, { started }] of Object.entries(manifest.jobs)) {
    if (ids.length > 0 && !ids.includes(imported)) continue;
    const golden = await readLines<Recorded>(goldenPath(dir, imported));
    if (golden.length === 0) output.note(output.tint('yellow', `${imported}: there are no golden answers`));
    else if (started === null) output.note(output.tint('yellow', `${imported}: not begun here; \`graft import start\``));
    else reports.push(await compareJob({ imported, started, golden, graders }, options, context));
  }
  if (reports.length === 0)
    throw new Failure('There is nothing to compare yet', {
      hint: 'It takes golden answers (graft import openai) and a job here that has succeeded (graft import start).',
    });
  const text = reports.map((report) => reportText(report, show, output)).join('\n\n');
  output.result({ folder: dir, jobs: reports }, text);
}

interface OneJob {
  imported: string;
  started: string;
  golden: readonly Recorded[];
  graders: readonly NamedGrader[];
}

async function compareJob(
  { imported, started, golden, graders }: OneJob,
  { dir, maxTokens }: CompareOptions,
  { service: connect, output }: Context,
): Promise<Report> {
  const { client } = await connect();
  const job = await client.get<Job>(`/fine_tuning/jobs/${encodeURIComponent(started)}`);
  if (job.status !== 'succeeded' || job.fine_tuned_model === null)
    throw new Failure(`${started} is ${job.status}`, {
      hint: hasEnded(job) ? `\`graft jobs show ${started}\` says why.` : `Wait for it: graft jobs follow ${started}`,
    });
  const model = job.fine_tuned_model;
  const path = join(dir, 'answers', `${started}.jsonl`);
  const known = await readLines<Recorded>(path);
  const lines = await openLines(path, known);
  const answers: Compared[] = [];
  try {
    for (const [index, gold] of golden.entries()) {
      let fresh = known.find(({ question }) => question.line === gold.question.line);
      if (fresh === undefined) {
        fresh = await record(gold.question, { client, model, maxTokens });
        await lines.add(fresh);
        output.note(`${started}: answer ${index + 1} of ${golden.length}`);
      }
      answers.push({ golden: gold, fresh, scores: scoresOf(gold, fresh, graders) });
    }
  } finally {
    await lines.close();
  }
  return { imported, job: started, goldenModel: golden[0]!.model, model, scores: meansOf(answers, graders), answers };
}

/** Graders see the dataset's answer as `item.reference`, and OpenAI's as `item.golden`. */
function scoresOf({ question, answer: golden }: Recorded, { answer: fresh }: Recorded, graders: readonly NamedGrader[]): Compared['scores'] {
  const item = { ...question, golden };
  return Object.fromEntries(
    graders.map(({ name, grade }) => [name, { golden: grade(namespacesOf(item, golden)).reward, fresh: grade(namespacesOf(item, fresh)).reward }]),
  );
}

const meansOf = (answers: readonly Compared[], graders: readonly NamedGrader[]): Report['scores'] => {
  const mean = (name: string, of: 'golden' | 'fresh') => answers.reduce((sum, { scores }) => sum + scores[name]![of], 0) / answers.length;
  return Object.fromEntries(graders.map(({ name }) => [name, { golden: mean(name, 'golden'), fresh: mean(name, 'fresh') }]));
};

function reportText({ goldenModel, model, scores, answers }: Report, show: number, { paint, columns }: Context['output']): string {
  const rows = Object.entries(scores).map(([name, { golden, fresh }]) => [name, golden.toFixed(3), fresh.toFixed(3), signed(fresh - golden)]);
  return [
    ...answers
      .slice(0, show)
      .map(({ golden, fresh, scores: of }) => sideBySide({ question: golden.question, golden, fresh, scores: of }, { paint, columns })),
    `${paint('bold', 'golden')}  ${goldenModel}\n${paint('bold', 'here')}    ${model}`,
    table([`MEAN OF ${answers.length}`, 'GOLDEN', 'HERE', 'CHANGE'], rows, paint),
  ].join('\n\n');
}

const signed = (number: number): string => `${number < 0 ? '-' : '+'}${Math.abs(number).toFixed(3)}`;

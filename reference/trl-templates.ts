/**
 * `npm run test:templates -- [--write]`: renders conversations of every kind with all chat templates that TRL ships, here and with transformers, and
 * compares: the text, or that both refuse; for templates with {% generation %} also ids and mask; and the beginnings of each conversation with a rendering
 * of their own. --write puts the table into docs/results.md.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishResult, table } from '../bench/results-page.ts';
import { Tokenizer } from '../workers/engine/data/tokenizer.ts';
import { referencePath } from './fixtures.ts';
import { pythonEnvironment } from './python/environment.ts';
import { pythonPackage } from './python/wheel.ts';
import { type Counts, readConversations, TemplateComparison, type Theirs } from './templates/comparison.ts';

const TRL = 'trl==1.16.0';
const TODAY = '2026-02-03T04:05:06';
const TOKENIZER = referencePath('tokenizers', 'llama3');
const HERE = join(import.meta.dirname, 'templates');

/** @returns each template's outcomes in transformers: for every conversation, those of its variants */
function askTransformers(python: string, templates: string): Record<string, Theirs[][]> {
  const scratch = mkdtempSync(join(tmpdir(), 'graft-templates-'));
  const [request, answer] = [join(scratch, 'request.json'), join(scratch, 'answer.json')];
  try {
    writeFileSync(request, JSON.stringify({ templates, tokenizer: TOKENIZER, conversations: join(HERE, 'conversations.jsonl'), today: TODAY }));
    execFileSync(python, [join(HERE, 'render.py'), request, answer], { stdio: ['ignore', 'inherit', 'inherit'] });
    return JSON.parse(readFileSync(answer, 'utf8')) as Record<string, Theirs[][]>;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const python = await pythonEnvironment();
const templates = join(await pythonPackage(TRL, python), 'chat_templates');
const theirs = askTransformers(python, templates);
const conversations = readConversations(join(HERE, 'conversations.jsonl'));
const tokenizer = await Tokenizer.open(TOKENIZER);

const rows: string[][] = [];
const counted: Record<string, Counts> = {};
const problems: string[] = [];
for (const [name, outcomes] of Object.entries(theirs)) {
  const comparison = new TemplateComparison(readFileSync(join(templates, `${name}.jinja`), 'utf8'), tokenizer, new Date(`${TODAY}Z`));
  for (const [index, conversation] of conversations.entries())
    await comparison.add(`${name}, conversation ${index + 1}`, conversation, outcomes[index]!);
  const { tried, refused, differing, beginnings, beginningsDiffering } = comparison.counts;
  counted[name] = comparison.counts;
  problems.push(...comparison.problems);
  const compared = comparison.marksGeneration ? 'text, ids, mask' : 'text';
  rows.push([name, compared, `${differing} of ${tried}`, `${refused}`, `${beginningsDiffering} of ${beginnings}`]);
}
const head = ['template', 'compared', 'differing', 'refused by both', 'beginnings differing'];
publishResult('templates', table(head, rows));
console.log(`\n${JSON.stringify({ bench: 'templates', trl: TRL, counted })}`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;

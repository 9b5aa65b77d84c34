/** `graft doctor` */
import type { Context } from '../context.ts';
import { EXIT } from '../exit-code.ts';
import { safeLine } from '../terminal/text.ts';
import type { Check } from './check.ts';
import { examineMachine } from './machine.ts';
import { examineService } from './service.ts';

const MARKS = { good: ['green', '✓'], poor: ['yellow', '!'], bad: ['red', '✗'], unknown: ['dim', '–'] } as const;

export async function examine(context: Context): Promise<void> {
  const { output } = context;
  const [machine, service] = await Promise.all([examineMachine(), examineService(context)]);
  const all = [...machine, ...service];
  const width = Math.max(...all.map(({ name }) => name.length));
  const lineOf = ({ name, state, found, advice }: Check) => {
    const [colour, mark] = MARKS[state];
    const text = `${output.paint(colour, mark)} ${name.padEnd(width)}  ${safeLine(found)}`;
    return advice === null ? text : `${text}\n  ${' '.repeat(width)}  → ${safeLine(advice)}`;
  };
  const section = (title: string, checks: readonly Check[]) => [output.paint('bold', title), ...checks.map(lineOf)].join('\n');
  output.result({ machine, service }, `${section('This machine', machine)}\n\n${section('The service', service)}`);
  if (all.some(({ state }) => state === 'bad')) process.exitCode = EXIT.failed;
}

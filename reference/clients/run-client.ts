/** Runs the rows of one client in a process of its own. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Outcome {
  method: string;
  circumstance: string;
  /** null if the row passed */
  problem: string | null;
  ms: number;
}

export interface ClientRun {
  /** Such as `openai 7.57.0, Node`. */
  name: string;
  outcomes: Outcome[];
  /** Every method that the client has on the resources of fine-tuning. */
  methods: string[];
}

interface Program {
  language: string;
  command: readonly [program: string, ...args: string[]];
  env: Record<string, string>;
}

/** @throws Error if the process ends before all rows have run */
export async function runClient({ language, command: [program, ...args], env }: Program): Promise<ClientRun> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
  const outcomes: Outcome[] = [];
  let last: (Pick<ClientRun, 'methods'> & { version: string }) | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as Outcome | NonNullable<typeof last>;
    if ('methods' in said) last = said;
    else outcomes.push(said);
  }
  const end = await ended;
  if (end !== 0 || last === undefined) throw new Error(`the client for ${language} ended with ${end} after ${outcomes.length} rows`);
  return { name: `openai ${last.version}, ${language}`, outcomes, methods: last.methods };
}

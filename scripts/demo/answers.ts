import { runProgram } from './child.ts';

const MAX_NEW_TOKENS = 60;

export interface Asked {
  root: string;
  modelDir: string;
  adapterDir?: string;
  prompts: readonly string[];
}

/**
 * What a model answers, greedily, each prompt in a conversation of its own. The engine runs in a process of its own, as it does in the service.
 * @returns one answer a prompt, in their order
 */
export async function answersOf({ root, modelDir, adapterDir, prompts }: Asked): Promise<string[]> {
  const adapter = adapterDir === undefined ? [] : ['--adapter', adapterDir];
  const output = await runProgram(root, [
    ...['workers/engine/cli.ts', 'generate', '--model', modelDir, ...adapter],
    ...['--max-new-tokens', String(MAX_NEW_TOKENS), '--json'],
    ...prompts.flatMap((prompt) => ['--prompt', prompt]),
  ]);
  return (JSON.parse(output) as { answer: string }[]).map(({ answer }) => answer);
}

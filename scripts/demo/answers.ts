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
export async function answersOf({ root, ...asked }: Asked): Promise<string[]> {
  const output = await runProgram(root, ['scripts/demo/ask.ts', JSON.stringify({ ...asked, maxTokens: MAX_NEW_TOKENS })]);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '[]') as string[];
}

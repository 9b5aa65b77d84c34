import { runProgram } from './child.ts';

const MAX_NEW_TOKENS = 60;

export interface Questions {
  root: string;
  modelDir: string;
  adapterDir?: string;
  prompts: readonly string[];
  /** Each in its own conversation, or as it is. */
  chats: boolean;
}

/**
 * Greedy answers of a model. The engine runs in a separate process, as it does in the service.
 * @returns one answer per prompt, in order
 */
export async function answersOf({ root, ...questions }: Questions): Promise<string[]> {
  const output = await runProgram(root, ['scripts/demo/ask.ts', JSON.stringify({ ...questions, maxTokens: MAX_NEW_TOKENS })]);
  return JSON.parse(output.trim().split('\n').at(-1) ?? '[]') as string[];
}

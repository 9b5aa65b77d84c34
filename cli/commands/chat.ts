import type { Command } from 'commander';
import type { ChatOptions } from '../chat/chat.ts';
import { contextOf } from '../context.ts';
import { collect, count, number } from './arguments.ts';

export function addChat(graft: Command): void {
  graft
    .command('chat <model> [words...]')
    .description('talk to a base model, a tuned model or a checkpoint')
    .option('-s, --system <text>', 'what the model is told before the conversation')
    .option('-t, --temperature <t>', '0 takes the most probable token each time', number)
    .option('--top-p <p>', 'the most probable tokens that together have this probability', number)
    .option('--max-tokens <n>', 'the longest answer', count)
    .option('--seed <n>', 'the same seed gives the same answer', number)
    .option('--stop <text>', 'end the answer before this text; repeatable', collect, [])
    .addHelpText(
      'after',
      `
With words, or with text on stdin, one answer is printed as it is made. Otherwise a conversation
begins: /reset forgets it, /system TEXT starts it anew, /exit or Ctrl-D ends it. Ctrl-C stops an answer.

Examples:
  $ graft chat graft-tiny Where does a fox live?
  $ graft chat ft:graft-tiny:default:first:abc123 --system "Answer in one word."
  $ graft chat graft-tiny --temperature 0 < question.txt`,
    )
    .action(async (model: string, words: string[], options: ChatOptions, command: Command) => {
      const { chat } = await import('../chat/chat.ts');
      await chat(model, words.join(' '), options, contextOf(command));
    });
}

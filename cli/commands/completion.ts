import complete from '@bomb.sh/tab/commander';
import type { Command } from 'commander';

/** `graft complete bash|zsh|fish` prints what a shell loads, which asks `graft complete -- …` for what may come next. */
export function addCompletion(graft: Command): void {
  complete(graft);
}

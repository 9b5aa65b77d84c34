import type { Command } from 'commander';

export function addSweep(_graft: Command): void {}

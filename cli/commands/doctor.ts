import type { Command } from 'commander';
import { contextOf } from '../context.ts';

export function addDoctor(graft: Command): void {
  graft
    .command('doctor')
    .description('look at this machine and the service, and say what to do')
    .addHelpText('after', '\nExits with 1 if something has to be done.')
    .action(async (_options: object, command: Command) => {
      const { examine } = await import('../doctor/doctor.ts');
      await examine(contextOf(command));
    });
}

import type { Command } from 'commander';
import { type Output, openOutput } from './output.ts';
import type { Service } from './service.ts';
import { type Connection, findConnection } from './settings.ts';

/** What every command is given. */
export interface Context {
  output: Output;
  connection(): Promise<Connection>;
  /** @throws Failure where there is no key */
  service(): Promise<Service>;
}

/** The options that every command takes. */
interface GlobalOptions {
  json?: boolean;
  url?: string;
}

export function contextOf(command: Command): Context {
  const { json = false, url } = command.optsWithGlobals<GlobalOptions>();
  const connection = () => findConnection(url);
  return {
    output: openOutput({ isJson: json }),
    connection,
    async service() {
      const found = await connection();
      // Loaded when it is needed: help and completion answer without it.
      const { openService } = await import('./service.ts');
      return openService(found);
    },
  };
}

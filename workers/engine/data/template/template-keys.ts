import type { TemplateKeys } from '../../../../src/formats/example-keys.ts';

/** What templates call a message, where its name does not show in the source. */
const USUAL_NAMES = ['message', 'msg', 'm'];
/** `for message in messages[1:]`, `set last = loop_messages[-1]`. Repetitions are bounded, so that a search takes time linear in the source's length. */
const MESSAGE_NAMES = [
  /\bfor\s{1,9}(\w{1,99})\s{1,9}in\s{1,9}[^%]{0,99}messages\b/g,
  /\bset\s{1,9}(\w{1,99})\s{0,9}=\s{0,9}\w{0,99}messages\s{0,9}\[/g,
];

/** @returns which keys a chat template reads, as far as its source shows */
export function templateKeys(source: string): TemplateKeys {
  const names = new Set([...USUAL_NAMES, ...MESSAGE_NAMES.flatMap((pattern) => [...source.matchAll(pattern)].map(([, name]) => name!))]);
  const message = `(?:\\b(?:${[...names].join('|')})|messages\\s{0,9}\\[[^\\]]{0,99}\\])`;
  const known = new Map<string, { mentioned: boolean; ofMessage: boolean }>();

  function look(key: string): { mentioned: boolean; ofMessage: boolean } {
    const found = known.get(key);
    if (found !== undefined) return found;
    const name = key.replace(/[^\w ]/g, '\\$&');
    const quoted = `(['"])${name}\\1`;
    const read = new RegExp(
      `${message}\\s*(?:\\.\\s*${name}(?!\\w)|(?:\\.get\\(|\\[)\\s*${quoted})|${quoted.replace('1', '2')}\\s+(?:not\\s+)?in\\s+${message}`,
    );
    const looked = { mentioned: new RegExp(`\\.\\s*${name}(?!\\w)|${quoted}`).test(source), ofMessage: read.test(source) };
    known.set(key, looked);
    return looked;
  }

  return {
    mentions: (key) => look(key).mentioned,
    readsOfMessage: (key) => look(key).ofMessage,
    readsVariable: (name) => new RegExp(`(?<![\\w.])${name.replace(/[^\w ]/g, '\\$&')}(?!\\w)`).test(source),
  };
}

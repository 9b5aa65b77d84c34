/** The families of examples: how a line of each is recognised and read. Only this file looks a family up by its name. */
import type { At } from './chat-message.ts';
import { type DistilledExample, isDistilled, parseDistilled } from './distilled.ts';
import { parseSupervised, type TrainingExample } from './examples.ts';
import { isLabelled, type LabelledExample, parseLabelled } from './labelled.ts';
import type { ExampleFamily, ObjectiveFormat } from './objectives/format.ts';
import { objectivesFor } from './objectives/objectives.ts';
import { isPreference, type PreferenceExample, parsePreference } from './preference.ts';
import { isRecord } from './record.ts';

export type AnyExample = TrainingExample | DistilledExample | PreferenceExample | LabelledExample;

interface Family {
  /** For messages. */
  one: string;
  many: string;
  /** What else a file may have instead. */
  instead: string;
  parse(value: unknown, at: At): AnyExample;
}

const FAMILIES: Readonly<Record<ExampleFamily, Family>> = {
  supervised: {
    one: 'a supervised example',
    many: 'supervised examples',
    instead: 'conversations, prompts and completions, or texts',
    parse: parseSupervised,
  },
  distilled: {
    one: "a conversation with a teacher's log-probabilities",
    many: "conversations with a teacher's log-probabilities",
    instead: 'conversations whose answers have the "logprobs" of their teacher',
    parse: parseDistilled,
  },
  preference: {
    one: 'a preference pair',
    many: 'preference pairs',
    instead: 'preference pairs',
    parse: (value, at) => parsePreference(value as Record<string, unknown>, at),
  },
  labelled: {
    one: 'a labelled answer',
    many: 'labelled answers',
    instead: 'labelled answers',
    parse: (value, at) => parseLabelled(value as Record<string, unknown>, at),
  },
};

export const namedFamily = (family: ExampleFamily): Pick<Family, 'one' | 'many'> => FAMILIES[family];

/** @returns the family whose keys a line has; without any of them it counts as supervised, whose parser says what is wrong with it */
function familyOfLine(value: unknown): ExampleFamily {
  if (!isRecord(value)) return 'supervised';
  if (isPreference(value)) return 'preference';
  if (isLabelled(value)) return 'labelled';
  return isDistilled(value) ? 'distilled' : 'supervised';
}

export const familyOf = ({ kind }: AnyExample): ExampleFamily =>
  kind === 'preference' || kind === 'labelled' || kind === 'distilled' ? kind : 'supervised';

/** Reads a line of any family. @throws ExampleRefusal */
export function parseAny(value: unknown, at: At): AnyExample {
  return FAMILIES[familyOfLine(value)].parse(value, at);
}

/** Reads a line of one of some families. @throws ExampleRefusal, which for a line of another family names the methods that learn from it */
export function parseOf(families: ObjectiveFormat['examples'], value: unknown, at: At): AnyExample {
  const its = familyOfLine(value);
  const [wanted] = families;
  if (its === 'distilled' && wanted !== its) at.keys.count('message', 'logprobs', at.line);
  if (families.includes(its)) return FAMILIES[its].parse(value, at);
  if (!isRecord(value) || !isWhole(value, its)) return FAMILIES[wanted].parse(value, at);
  throw at.fail(`${at.name} is ${FAMILIES[its].one}, but the method learns from ${FAMILIES[wanted].many}`, otherMethod(its, wanted));
}

/** @param has what the file has. @param wanted what the method of the job learns from. @returns what to do */
export const otherMethod = (has: ExampleFamily, wanted: ExampleFamily): string =>
  `Use the method ${objectivesFor(has)
    .map((name) => `"${name}"`)
    .join(' or ')}, or give it ${FAMILIES[wanted].instead}.`;

/** Whether a line has enough keys of a family to be one of it, and not a damaged line of another. */
const isWhole = (value: Record<string, unknown>, family: ExampleFamily): boolean =>
  family !== 'supervised' || ['messages', 'completion', 'text'].some((key) => key in value);

/** Whether two requests ask for the same. */
import { createHash } from 'node:crypto';
import { jsonText } from '../formats/json-text.ts';
import { isJsonObject, type JsonValue, parseJsonValue } from '../formats/json-value.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * Covers every field of a JSON body, as it was sent: 1 and 1.0 differ. The order of keys does not matter, and a field that is null counts as left out:
 * both ask for the default.
 * @param text  empty for a request without a body
 */
export function jsonSha256(text: string): string {
  const value = parsed(text);
  if (!isJsonObject(value)) return sha256(text);
  const given: JsonValue = new Map([...value].filter(([, field]) => field !== null));
  return sha256(jsonText(given, { sorted: true }));
}

function parsed(text: string): unknown {
  try {
    return text.trim() === '' ? null : parseJsonValue(text);
  } catch (error) {
    if (error instanceof RangeError) return null; // nested too deeply: equal if its text is
    throw error;
  }
}

/** Stands for the boundary between two parts, which is another in every request. */
const BETWEEN_PARTS = '\0part\0';

/** Hashes a multipart body while it arrives: names, headers and contents of its parts, whatever their boundary is. */
export function multipartHash(boundary: string): { update(chunk: Buffer): void; digest(): string } {
  const delimiter = Buffer.from(`--${boundary}`);
  const hash = createHash('sha256');
  let rest: Buffer = Buffer.alloc(0);
  return {
    update(chunk) {
      let bytes = Buffer.concat([rest, chunk]);
      for (let at = bytes.indexOf(delimiter); at !== -1; at = bytes.indexOf(delimiter)) {
        hash.update(bytes.subarray(0, at)).update(BETWEEN_PARTS);
        bytes = bytes.subarray(at + delimiter.length);
      }
      // The beginning of a delimiter may stand at the end.
      const whole = Math.max(0, bytes.length - delimiter.length + 1);
      hash.update(bytes.subarray(0, whole));
      rest = bytes.subarray(whole);
    },
    digest: () => hash.update(rest).digest('hex'),
  };
}

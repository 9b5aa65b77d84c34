/** Recognises files that are not text in UTF-8, so that an error can name what they are instead of the first byte that does not fit. */

/** How much of a file's beginning `foreignFormat` looks at. */
export const FORMAT_BYTES = 16;

export interface ForeignFormat {
  /** What the file is, to follow its name in a message: `is a Parquet table`. */
  is: string;
  /** What to do about it. */
  hint: string;
}

const UTF8 = 'Save the file as UTF-8 (in Python: open(path, "w", encoding="utf-8"); in PowerShell: Set-Content -Encoding utf8).';
const UNPACK = 'Unpack it and use the JSON Lines file in it.';
const EXPORT = 'Export it as JSON Lines, one JSON object a line (in Python: datasets.Dataset.to_json(path)).';
const REWRITE = 'It was never written completely, as after a crash or on a full disk: write or copy it again.';

/** A format's first bytes (Latin-1). Longer ones come before those that they begin with. */
const SIGNATURES: readonly (readonly [start: string, is: string, hint: string])[] = [
  ['\xff\xfe\0\0', 'is UTF-32 text (little-endian)', UTF8],
  ['\0\0\xfe\xff', 'is UTF-32 text (big-endian)', UTF8],
  ['\xff\xfe', 'is UTF-16 text (little-endian)', UTF8],
  ['\xfe\xff', 'is UTF-16 text (big-endian)', UTF8],
  ['\x1f\x8b', 'is compressed with gzip', UNPACK],
  ['PK\x03\x04', 'is a ZIP archive', UNPACK],
  ['BZh', 'is compressed with bzip2', UNPACK],
  ['\xfd7zXZ\0', 'is compressed with xz', UNPACK],
  ['\x28\xb5\x2f\xfd', 'is compressed with zstd', UNPACK],
  ["7z\xbc\xaf'\x1c", 'is a 7z archive', UNPACK],
  ['PAR1', 'is a Parquet table', EXPORT],
  ['ARROW1', 'is an Arrow table', EXPORT],
  ['\xff\xff\xff\xff', 'is an Arrow stream', EXPORT],
  ['Obj\x01', 'is an Avro file', EXPORT],
  ['\x89HDF', 'is an HDF5 file', EXPORT],
  ['SQLite format 3', 'is an SQLite database', EXPORT],
  ['%PDF', 'is a PDF document', EXPORT],
];

/** Where zero bytes stand in the first four of a text in UTF-16 or UTF-32 without a byte order mark: JSON begins with ASCII (RFC 4627, section 3). */
const ZEROS: Readonly<Record<string, string>> = {
  '.0.0': 'is UTF-16 text (little-endian)',
  '0.0.': 'is UTF-16 text (big-endian)',
  '.000': 'is UTF-32 text (little-endian)',
  '000.': 'is UTF-32 text (big-endian)',
};

/**
 * @param start the file's first bytes, up to FORMAT_BYTES of them
 * @returns null if it may be UTF-8
 */
export function foreignFormat(start: Uint8Array): ForeignFormat | null {
  const bytes = start.subarray(0, FORMAT_BYTES);
  const text = Buffer.from(bytes).toString('latin1');
  const signature = SIGNATURES.find(([signed]) => text.startsWith(signed));
  if (signature !== undefined) return { is: signature[1], hint: signature[2] };
  const zeros = [...bytes.subarray(0, 4)].map((byte) => (byte === 0 ? '0' : '.')).join('');
  const wide = ZEROS[zeros];
  if (wide !== undefined) return { is: wide, hint: UTF8 };
  return bytes.length > 0 && bytes.every((byte) => byte === 0) ? { is: 'begins with NUL bytes', hint: REWRITE } : null;
}

/**
 * What is wrong with a line that holds NUL bytes, which JSON text never does.
 * @returns to follow the line's name in a message
 */
export function nulBytes(line: Uint8Array): ForeignFormat {
  const first = line.indexOf(0);
  const zeros = line.reduce((count, byte) => count + Number(byte === 0), 0);
  if (zeros === line.length) return { is: `is nothing but ${zeros} NUL bytes`, hint: REWRITE };
  // Every other byte: ASCII in UTF-16, appended to a file in UTF-8.
  if (line.length > 2 && Math.abs(2 * zeros - line.length) <= 2) return { is: 'is UTF-16 text, not UTF-8', hint: UTF8 };
  return { is: `has a NUL byte at its byte ${first + 1}`, hint: REWRITE };
}

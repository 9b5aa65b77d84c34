/**
 * Splits a template into tokens as Jinja 3.1 does with transformers' settings: `trim_blocks` (a line break after a block is dropped) and `lstrip_blocks`
 * (white space before a block that begins a line is dropped).
 */
import { TemplateSyntaxError } from './error.ts';
import { unescapeString } from './string-literal.ts';
import { SPACE, strip } from './strings.ts';

export interface Token {
  type: 'data' | 'block begin' | 'block end' | 'print begin' | 'print end' | 'name' | 'string' | 'integer' | 'float' | 'operator' | 'end';
  value: string;
  /** From 1. */
  line: number;
}

const SPACES = `[${SPACE}]`;
/** Text up to the next tag. A raw block is tried before other blocks. */
const TAG = new RegExp(
  `\\{%(?<raw>[-+]?)${SPACES}*raw${SPACES}*(?:-%\\}${SPACES}*|%\\})|\\{#(?<comment>[-+]?)|\\{%(?<block>[-+]?)|\\{\\{(?<print>[-+]?)`,
  'g',
);
const COMMENT_END = new RegExp(`\\+#\\}|-#\\}${SPACES}*|#\\}\\n?`, 'g');
const RAW_END = new RegExp(`\\{%([-+]?)${SPACES}*endraw${SPACES}*(?:\\+%\\}|-%\\}${SPACES}*|%\\}\\n?)`, 'g');
const BLOCK_END = new RegExp(`\\+%\\}|-%\\}${SPACES}*|%\\}\\n?`, 'y');
const PRINT_END = new RegExp(`-\\}\\}${SPACES}*|\\}\\}`, 'y');
const BLANK = new RegExp(`${SPACES}+`, 'y');
const FLOAT = /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const NAME = /[\p{L}\p{N}\p{M}\p{Pc}]+/uy;
const STRING = /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/sy;
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y;
/** Tried in this order. */
const TOKENS: [Token['type'], RegExp][] = [
  ['float', FLOAT],
  ['integer', INTEGER],
  ['name', NAME],
  ['string', STRING],
  ['operator', OPERATOR],
];
const PAIRS: Record<string, string> = { '(': ')', '[': ']', '{': '}' };

/** @throws TemplateSyntaxError */
export function tokenize(source: string): Token[] {
  return new Lexer(source.replace(/\r\n?/g, '\n').replace(/\n$/, '')).tokens();
}

class Lexer {
  readonly #tokens: Token[] = [];
  #position = 0;
  #line = 1;
  /** Whether what comes next begins a line. */
  #beginsLine = true;

  constructor(private readonly source: string) {}

  tokens(): Token[] {
    while (this.#position < this.source.length) this.#next();
    this.#add('end', '');
    return this.#tokens;
  }

  #next(): void {
    TAG.lastIndex = this.#position;
    const tag = TAG.exec(this.source);
    const { raw, comment, block, print } = tag?.groups ?? {};
    const text = this.source.slice(this.#position, tag?.index);
    this.#data(text, raw ?? comment ?? block ?? print ?? '+', print !== undefined);
    if (tag === null) {
      this.#moveTo(this.source.length);
      return;
    }
    this.#moveTo(tag.index + tag[0].length);
    if (raw !== undefined) this.#raw();
    else if (comment !== undefined) this.#comment();
    else if (block !== undefined) this.#inside('block', BLOCK_END);
    else this.#inside('print', PRINT_END);
  }

  /** @param sign of the tag that follows the text */
  #data(text: string, sign: string, isPrint: boolean): void {
    let kept = text;
    if (sign === '-') kept = strip(text, 'rstrip', null);
    else if (sign !== '+' && !isPrint) {
      const lineStart = text.lastIndexOf('\n') + 1;
      if ((lineStart > 0 || this.#beginsLine) && strip(text.slice(lineStart), 'strip', null) === '') kept = text.slice(0, lineStart);
    }
    if (kept !== '') this.#add('data', kept);
  }

  #raw(): void {
    const end = this.#find(RAW_END, 'a raw block is not closed');
    this.#data(this.source.slice(this.#position, end.index), end[1]!, false);
    this.#moveTo(end.index + end[0].length);
  }

  #comment(): void {
    const end = this.#find(COMMENT_END, 'a comment is not closed');
    this.#moveTo(end.index + end[0].length);
  }

  #find(pattern: RegExp, problem: string): RegExpExecArray {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.source);
    if (found === null) throw new TemplateSyntaxError(problem, this.#line);
    return found;
  }

  #inside(kind: 'block' | 'print', end: RegExp): void {
    this.#add(`${kind} begin`, '');
    const open: string[] = [];
    for (;;) {
      if (open.length === 0 && this.#match(end) !== null) break;
      if (this.#match(BLANK) !== null) continue;
      if (this.#position >= this.source.length)
        throw new TemplateSyntaxError(`a ${kind === 'block' ? 'block' : 'printed expression'} is not closed`, this.#line);
      this.#expressionToken(open);
    }
    this.#add(`${kind} end`, '');
  }

  /** @param open the closing brackets that are waited for */
  #expressionToken(open: string[]): void {
    for (const [type, pattern] of TOKENS) {
      const line = this.#line;
      const text = this.#match(pattern);
      if (text === null) continue;
      if (type === 'name' && /^\p{N}/u.test(text)) throw new TemplateSyntaxError(`${text} is no name`, line);
      if (type === 'operator') this.#balance(text, open);
      this.#tokens.push({ type, value: tokenValue(type, text, line), line });
      return;
    }
    throw new TemplateSyntaxError(`unexpected character ${JSON.stringify(this.source[this.#position])}`, this.#line);
  }

  #balance(operator: string, open: string[]): void {
    const closing = PAIRS[operator];
    if (closing !== undefined) open.push(closing);
    else if (')]}'.includes(operator) && open.pop() !== operator) throw new TemplateSyntaxError(`unexpected ${operator}`, this.#line);
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.source);
    if (found === null) return null;
    this.#moveTo(this.#position + found[0].length);
    return found[0];
  }

  #add(type: Token['type'], value: string): void {
    this.#tokens.push({ type, value, line: this.#line });
  }

  #moveTo(position: number): void {
    for (let at = this.source.indexOf('\n', this.#position); at !== -1 && at < position; at = this.source.indexOf('\n', at + 1)) this.#line += 1;
    if (position > this.#position) this.#beginsLine = this.source[position - 1] === '\n';
    this.#position = position;
  }
}

function tokenValue(type: Token['type'], text: string, line: number): string {
  if (type === 'string') return unescapeString(text.slice(1, -1), line);
  return type === 'float' || type === 'integer' ? text.replaceAll('_', '') : text;
}

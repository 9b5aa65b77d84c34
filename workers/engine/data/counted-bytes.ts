/** A stream of bytes that passes on what it reads. */
export class CountedBytes implements AsyncIterable<Uint8Array> {
  /** Bytes passed on so far. */
  count = 0;
  readonly #bytes: AsyncIterable<Uint8Array>;

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#bytes = bytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#bytes) {
      this.count += chunk.length;
      yield chunk;
    }
  }
}

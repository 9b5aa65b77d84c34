/** Maximum flow by Dinic's algorithm (1970), and the minimum cut that it shows. */

/** Directed edges lie in pairs: an edge, and at the next odd place its reverse. */
export class FlowNetwork {
  readonly source = 0;
  readonly sink = 1;
  readonly #edgesOf: number[][] = [[], []];
  readonly #to: number[] = [];
  readonly #room: number[] = [];

  vertex(): number {
    return this.#edgesOf.push([]) - 1;
  }

  connect(from: number, to: number, capacity: number): void {
    this.#edgesOf[from]!.push(this.#to.push(to) - 1);
    this.#room.push(capacity);
    this.#edgesOf[to]!.push(this.#to.push(from) - 1);
    this.#room.push(0);
  }

  /** @returns the vertices from which the sink can still be reached when the flow is largest: of all minimum cuts the one nearest to the sink */
  behindMinimumCut(): Set<number> {
    for (let levels = this.#levels(); levels[this.sink] !== -1; levels = this.#levels()) {
      const next = this.#edgesOf.map(() => 0);
      while (this.#augment(levels, next));
    }
    const behind = new Set([this.sink]);
    for (const vertex of behind) {
      for (const edge of this.#edgesOf[vertex]!) if (this.#room[edge ^ 1]! > 0) behind.add(this.#to[edge]!);
    }
    return behind;
  }

  /** Each vertex's distance from the source over edges with room; −1 where there is no way. */
  #levels(): number[] {
    const levels = this.#edgesOf.map(() => -1);
    levels[this.source] = 0;
    const waiting = [this.source];
    for (const vertex of waiting) {
      for (const edge of this.#edgesOf[vertex]!) {
        const to = this.#to[edge]!;
        if (levels[to] !== -1 || this.#room[edge]! <= 0) continue;
        levels[to] = levels[vertex]! + 1;
        waiting.push(to);
      }
    }
    return levels;
  }

  /** Sends what fits along one shortest way. Written without recursion: ways are as long as a model is deep. */
  #augment(levels: readonly number[], next: number[]): boolean {
    const way: number[] = [];
    let vertex: number = this.source;
    while (vertex !== this.sink) {
      const edges = this.#edgesOf[vertex]!;
      const edge = edges[next[vertex]!];
      if (edge === undefined) {
        const back = way.pop();
        if (back === undefined) return false;
        vertex = this.#to[back ^ 1]!;
        next[vertex]! += 1;
      } else if (this.#room[edge]! > 0 && levels[this.#to[edge]!] === levels[vertex]! + 1) {
        way.push(edge);
        vertex = this.#to[edge]!;
      } else next[vertex]! += 1;
    }
    const fits = Math.min(...way.map((edge) => this.#room[edge]!));
    for (const edge of way) {
      this.#room[edge]! -= fits;
      this.#room[edge ^ 1]! += fits;
    }
    return true;
  }
}

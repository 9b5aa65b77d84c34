/** Maximum flow by Dinic's algorithm (1970), and the minimum cut that follows from it. */

/** Edges are stored in pairs: a directed edge at an even index, and its reverse at the next odd one. */
export class FlowNetwork {
  readonly source = 0;
  readonly sink = 1;
  readonly #edgesOf: number[][] = [[], []];
  readonly #to: number[] = [];
  readonly #capacity: number[] = [];

  vertex(): number {
    return this.#edgesOf.push([]) - 1;
  }

  connect(from: number, to: number, capacity: number): void {
    this.#edgesOf[from]!.push(this.#to.push(to) - 1);
    this.#capacity.push(capacity);
    this.#edgesOf[to]!.push(this.#to.push(from) - 1);
    this.#capacity.push(0);
  }

  /** @returns the vertices from which the sink can be reached once the flow is maximal. Of all minimum cuts this is the one nearest to the sink */
  behindMinimumCut(): Set<number> {
    for (let levels = this.#levels(); levels[this.sink] !== -1; levels = this.#levels()) {
      const next = this.#edgesOf.map(() => 0);
      while (this.#augment(levels, next));
    }
    const behind = new Set([this.sink]);
    for (const vertex of behind) {
      for (const edge of this.#edgesOf[vertex]!) if (this.#capacity[edge ^ 1]! > 0) behind.add(this.#to[edge]!);
    }
    return behind;
  }

  /** @returns each vertex's distance from the source along edges with capacity left; −1 if there is no path */
  #levels(): number[] {
    const levels = this.#edgesOf.map(() => -1);
    levels[this.source] = 0;
    const waiting = [this.source];
    for (const vertex of waiting) {
      for (const edge of this.#edgesOf[vertex]!) {
        const to = this.#to[edge]!;
        if (levels[to] !== -1 || this.#capacity[edge]! <= 0) continue;
        levels[to] = levels[vertex]! + 1;
        waiting.push(to);
      }
    }
    return levels;
  }

  /** Sends what fits along a shortest path; without recursion, because a path is as long as a model is deep. @returns whether there is a path */
  #augment(levels: readonly number[], next: number[]): boolean {
    const path: number[] = [];
    let vertex: number = this.source;
    while (vertex !== this.sink) {
      const edges = this.#edgesOf[vertex]!;
      const edge = edges[next[vertex]!];
      if (edge === undefined) {
        const back = path.pop();
        if (back === undefined) return false;
        vertex = this.#to[back ^ 1]!;
        next[vertex]! += 1;
      } else if (this.#capacity[edge]! > 0 && levels[this.#to[edge]!] === levels[vertex]! + 1) {
        path.push(edge);
        vertex = this.#to[edge]!;
      } else next[vertex]! += 1;
    }
    const flow = Math.min(...path.map((edge) => this.#capacity[edge]!));
    for (const edge of path) {
      this.#capacity[edge]! -= flow;
      this.#capacity[edge ^ 1]! += flow;
    }
    return true;
  }
}

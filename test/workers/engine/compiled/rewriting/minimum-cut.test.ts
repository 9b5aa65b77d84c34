import { describe, expect, it } from 'vitest';
import { FlowNetwork } from '../../../../../workers/engine/compiled/rewriting/minimum-cut.ts';

describe('FlowNetwork', () => {
  it('cuts the edges whose capacities have the smallest sum', () => {
    const network = new FlowNetwork();
    const [a, b, c] = [network.vertex(), network.vertex(), network.vertex()] as const;
    network.connect(network.source, a, 3);
    network.connect(network.source, b, 2);
    network.connect(a, c, 9);
    network.connect(b, c, 9);
    network.connect(c, network.sink, 7);
    expect([...network.behindMinimumCut()].sort()).toEqual([network.sink, a, b, c]); // 3 + 2 < 7
  });

  it('chooses the cut nearest to the sink among equal ones', () => {
    const network = new FlowNetwork();
    const chain = [network.source, network.vertex(), network.vertex(), network.sink];
    for (let i = 0; i < 3; i++) network.connect(chain[i]!, chain[i + 1]!, 5);
    expect([...network.behindMinimumCut()]).toEqual([network.sink]);
  });

  it('takes flow back from a path that blocks two others', () => {
    const network = new FlowNetwork();
    const [a, b] = [network.vertex(), network.vertex()] as const;
    network.connect(network.source, a, 1);
    network.connect(network.source, b, 1);
    network.connect(a, b, 1);
    network.connect(a, network.sink, 1);
    network.connect(b, network.sink, 1);
    expect([...network.behindMinimumCut()]).toEqual([network.sink]);
  });
});

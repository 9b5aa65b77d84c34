import { describe, expect, it } from 'vitest';
import { conformanceOf } from '../../reference/clients/conformance.ts';

const passed = { method: 'files.create', circumstance: 'of a file', problem: null, ms: 1 };

describe('the conformance table', () => {
  it('of clients whose rows all passed › has a mark for each, and a dash where a client has no such row', () => {
    const other = { ...passed, method: 'files.retrieveContent' };
    const {
      markdown,
      failures,
      passed: count,
    } = conformanceOf([
      { name: 'A', methods: ['files.create'], outcomes: [passed] },
      { name: 'B', methods: ['files.create', 'files.retrieveContent'], outcomes: [passed, other] },
    ]);
    expect(failures).toEqual([]);
    expect(count).toBe(3);
    expect(markdown).toContain('| `files.create` | of a file | ✓ | ✓ |');
    expect(markdown).toContain('| `files.retrieveContent` | of a file | – | ✓ |');
  });

  it('of a client with a row that failed › fails with the reason', () => {
    const { markdown, failures } = conformanceOf([{ name: 'A', methods: ['files.create'], outcomes: [{ ...passed, problem: 'it answered 404' }] }]);
    expect(failures).toEqual(['A: files.create of a file: it answered 404']);
    expect(markdown).toContain('✗');
  });

  it('of a client with a method that no row calls › fails; a row for a resource covers its methods, not those of resources below it', () => {
    const resource = { ...passed, method: 'admin.organization.users.*' };
    const methods = ['admin.organization.users.list', 'admin.organization.users.roles.list', 'files.create'];
    const { failures } = conformanceOf([{ name: 'A', methods, outcomes: [resource] }]);
    expect(failures).toEqual(['A: admin.organization.users.roles.list has no row', 'A: files.create has no row']);
  });
});

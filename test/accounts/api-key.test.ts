import { describe, expect, it } from 'vitest';
import { authenticate } from '../../src/accounts/api-key.ts';

describe('authenticate', () => {
  it('returns the caller for the right key', () => {
    expect(authenticate('Bearer secret', 'secret')).toEqual({ organization: 'graft' });
    expect(authenticate('bearer secret', 'secret')).toEqual({ organization: 'graft' });
  });

  it.each([undefined, '', 'Bearer', 'Bearer ', 'Basic secret', 'Bearer secrets', 'Bearer Secret'])('refuses the header %j', (header) => {
    expect(() => authenticate(header, 'secret')).toThrow(expect.objectContaining({ code: 'invalid_api_key' }));
  });
});

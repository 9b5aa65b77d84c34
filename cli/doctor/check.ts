/** One thing that `graft doctor` looked at. */
export interface Check {
  name: string;
  /** `bad`: something does not work; `poor`: it works, but could be better; `unknown`: it could not be found out. */
  state: 'good' | 'poor' | 'bad' | 'unknown';
  found: string;
  /** What to do; null if nothing has to be done. */
  advice: string | null;
}

export const good = (name: string, found: string): Check => ({ name, state: 'good', found, advice: null });
export const poor = (name: string, found: string, advice: string): Check => ({ name, state: 'poor', found, advice });
export const bad = (name: string, found: string, advice: string): Check => ({ name, state: 'bad', found, advice });
export const unknown = (name: string, found: string): Check => ({ name, state: 'unknown', found, advice: null });

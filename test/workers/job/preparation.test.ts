import { describe, expect, it } from 'vitest';
import { preparationProgress } from '../../../workers/job/preparation.ts';

const training = (bytesRead: number, lines: number) => ({ param: 'training_file' as const, bytesRead, bytesTotal: 8_000_000, lines });
const validation = (bytesRead: number, lines: number) => ({ param: 'validation_file' as const, bytesRead, bytesTotal: 2_000_000, lines });

describe('preparationProgress', () => {
  const sizes = { training_file: 8_000_000, validation_file: 2_000_000 };

  it('gives an event every five seconds at most, with the lines that the file probably has', () => {
    const progress = preparationProgress(sizes, 1_000);
    expect(progress(training(400_000, 1_000), 3_000).event).toBeNull();
    expect(progress(training(1_200_000, 12_000), 6_000).event).toEqual({
      level: 'info',
      message: 'Tokenised 12,000 of about 80,000 lines of the training file (15 % of 8,000,000 bytes)',
      data: { file: 'training_file', lines: 12_000, bytes_read: 1_200_000, bytes_total: 8_000_000 },
    });
    expect(progress(training(2_000_000, 20_000), 9_000).event).toBeNull();
    expect(progress(validation(2_000_000, 500), 11_000).event).toMatchObject({
      message: 'Tokenised 500 lines of the validation file (100 % of 2,000,000 bytes)',
    });
  });

  it('tells when both files will have been read, at the speed so far', () => {
    const progress = preparationProgress(sizes, 1_000);
    expect(progress(training(2_000_000, 10), 3_000).readyMs).toBe(11_000); // a fifth in 2 s
    expect(progress(training(8_000_000, 40), 17_000).readyMs).toBe(21_000); // four fifths in 16 s
    expect(progress(validation(1_000_000, 5), 19_000).readyMs).toBe(21_000);
    expect(progress(validation(2_000_000, 10), 21_000).readyMs).toBe(21_000);
  });

  it('of a job without a validation file counts the training file alone', () => {
    expect(preparationProgress({ training_file: 8_000_000 }, 0)(training(2_000_000, 10), 1_000).readyMs).toBe(4_000);
  });

  it('before a byte has been read knows no end', () => {
    expect(preparationProgress(sizes, 0)(training(0, 0), 6_000)).toMatchObject({
      event: { message: 'Tokenised 0 lines of the training file (0 % of 8,000,000 bytes)' },
      readyMs: null,
    });
  });
});

export interface Progress {
  step: number;
  totalSteps: number;
  trainLoss: number;
  validLoss: number | null;
  etaSeconds: number | null;
}

const WIDTH = 30;

export function progressLine({ step, totalSteps, trainLoss, validLoss, etaSeconds }: Progress): string {
  const share = totalSteps === 0 ? 0 : step / totalSteps;
  const filled = Math.round(WIDTH * share);
  const parts = [
    `  [${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)}] ${String(Math.round(100 * share)).padStart(3)}%`,
    `step ${step}/${totalSteps}`,
    `loss ${trainLoss.toFixed(3)}`,
  ];
  if (validLoss !== null) parts.push(`validation ${validLoss.toFixed(3)}`);
  if (etaSeconds !== null && step < totalSteps) parts.push(`ETA ${Math.max(0, Math.round(etaSeconds))} s`);
  return parts.join('  ');
}

/** A progress bar that redraws itself on a terminal; any other output gets a new line at every tenth of the steps. */
export function progressBar(out: NodeJS.WriteStream): { show(progress: Progress): void; end(): void } {
  let tenth = -1;
  let drawn = false;
  return {
    show(progress) {
      if (out.isTTY) {
        out.write(`\r\x1b[2K${progressLine(progress)}`);
        drawn = true;
        return;
      }
      const reached = Math.floor((10 * progress.step) / Math.max(1, progress.totalSteps));
      if (reached <= tenth) return;
      tenth = reached;
      out.write(`${progressLine(progress)}\n`);
    },
    end() {
      if (drawn) out.write('\n');
    },
  };
}

/** `██████░░░░  60%` @param share 0 to 1 */
export function bar(share: number, width = 30): string {
  const part = Math.min(1, Math.max(0, share));
  const filled = Math.round(width * part);
  return `${'█'.repeat(filled)}${'░'.repeat(width - filled)} ${String(Math.round(100 * part)).padStart(3)}%`;
}

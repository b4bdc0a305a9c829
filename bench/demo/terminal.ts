/**
 * Text for a terminal or a log: a line that changes, columns, and colour only where it is seen.
 *
 * @module
 */
import process from "node:process";

export const isTerminal = process.stdout.isTTY === true;

const colours = isTerminal && (process.env.NO_COLOR ?? "") === "";

/** How often a log gets a line of progress; a terminal gets all. */
const LOG_EVERY_MS = 1_000;

function styled(code: number): (text: string) => string {
  return (text) => colours ? `\x1b[${code}m${text}\x1b[0m` : text;
}

export const style = {
  bold: styled(1),
  faint: styled(2),
  red: styled(31),
  green: styled(32),
};

export function print(text = ""): void {
  process.stdout.write(`${text}\n`);
}

let shownAt = 0;

/** Shows a line that the next one replaces; in a log, one each second. */
export function progress(text: string): void {
  if (isTerminal) {
    const columns = process.stdout.columns || 80;
    process.stdout.write(`\r\x1b[K${style.faint(text.slice(0, columns - 1))}`);
    return;
  }
  const now = performance.now();
  if (now - shownAt < LOG_EVERY_MS) return;
  shownAt = now;
  print(text);
}

/** Removes the line of `progress`. */
export function endProgress(): void {
  if (isTerminal) process.stdout.write("\r\x1b[K");
}

/** 123456.7 -> "123,457" */
export function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

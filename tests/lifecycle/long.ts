/**
 * The lifecycle tests with larger numbers: workers that are terminated, processes that end.
 *
 *   long.ts WORKERS ENDINGS [SEED]   ENDINGS of each kind
 *
 * Exit code: 0 when nothing crashed, hung, was left behind or ended with a wrong code.
 *
 * @module
 */
import process from "node:process";
import { Random } from "../harness.ts";
import { endChildren } from "./child.ts";
import {
  ENDINGS,
  endOnce,
  endsAtOnce,
  KINDS,
  median,
  SOON_MS,
  terminateWorkers,
} from "./endings.ts";

/** Workers of one process: what a process leaves behind is looked at so often. */
const WORKERS_OF_PROCESS = 250;

async function terminations(count: number, random: Random): Promise<void> {
  for (let done = 0; done < count;) {
    const part = Math.min(WORKERS_OF_PROCESS, count - done);
    const seed = random.next();
    const started = performance.now();
    const said = await terminateWorkers(part, seed);
    done += part;
    const seconds = (performance.now() - started) / 1_000;
    console.log(`${done} workers terminated: ${said}, ${seconds.toFixed(0)} s, seed ${seed}`);
  }
}

async function endings(kind: string, count: number, random: Random): Promise<boolean> {
  const tookMs: number[] = [];
  const plainMs: number[] = [];
  for (let i = 0; i < count; i++) {
    tookMs.push(await endOnce(kind, random.next()));
    plainMs.push(await endOnce("plain", random.next()));
  }
  const late = tookMs.filter((ms) => ms >= SOON_MS).length;
  console.log(
    `${count} times "${kind}": code ${ENDINGS[kind].code} each time, median ` +
      `${median(tookMs)} ms, longest ${Math.max(...tookMs)} ms, ${late} of ${SOON_MS} ms or more`,
  );
  return endsAtOnce(tookMs, plainMs);
}

const [workers, times, seed] = process.argv.slice(2).map(Number);
const random = seed === undefined ? new Random() : new Random(seed);
let soon = true;
try {
  if (workers > 0) await terminations(workers, random);
  if (times > 0) {
    for (const kind of KINDS) soon = await endings(kind, times, random) && soon;
  }
} finally {
  endChildren();
}
process.exitCode = soon ? 0 : 1;

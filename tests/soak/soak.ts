/**
 * A soak: mixed traffic over several networks of one thread, every byte compared, for as long as is
 * wanted; with faults when the library has a fault table. `actors.ts` has the traffic.
 *
 *   soak.ts [--minutes N] [--slowness N] [--seed N]
 *
 * It plays in rounds of half a minute. At the end of each everybody comes to rest: then nothing may
 * be left in flight or open, and the resident memory is looked at, which during traffic goes up and
 * down by tens of MiB. The memory at rest, round after round, must not grow.
 *
 * Prints a line every few seconds and a verdict at the end. Exit code: 0 when nothing was wrong,
 * stuck or left behind, and memory did not grow (judged from a run of ten minutes on).
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Network } from "../../mod.ts";
import { descriptors, pause } from "../contract/fixture.ts";
import { Random } from "../harness.ts";
import { openSignals } from "../lifecycle/programs/open_signals.ts";
import { ACTORS, type Stage } from "./actors.ts";
import { FaultStorm } from "./fault_storm.ts";
import { Tally } from "./tally.ts";
import { type Sample, trendOf } from "./trend.ts";

const LINE_EVERY_MS = 5_000;
const ROUND_MS = 30_000;
const FAULTS_EVERY_MS = 40;
/** An actor that has not moved for so long hangs. */
const STUCK_MS = 30_000;
/** Caches fill and code is compiled: this part of the run, but no more, is not looked at. */
const WARM_UP_PART = 0.25;
const WARM_UP_SECONDS_MAX = 900;
/** Growth is what exceeds this by more than two standard errors. */
const GROWTH_MAX_MIB_PER_HOUR = 1;
/** The slope of a shorter run says more about its beginning than about growth. */
const JUDGED_FROM_MINUTES = 10;
/** At rest, the collector gets so many chances to give back what was dropped. */
const COLLECTIONS = 20;
const COLLECTION_PAUSE_MS = 50;

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    minutes: { type: "string", default: "20" },
    slowness: { type: "string", default: "3" },
    seed: { type: "string" },
  },
});
const minutes = Number(values.minutes);
const slowness = Number(values.slowness);
const seed = values.seed === undefined
  ? crypto.getRandomValues(new Uint32Array(1))[0]
  : +values.seed;
if (!(minutes > 0) || !(slowness >= 0) || !Number.isInteger(seed)) {
  throw new RangeError("Wanted: --minutes above 0, --slowness 0 or more, --seed an integer");
}

const runtime = globalThis as unknown as {
  Bun?: { gc(full: boolean): void };
  gc?(options?: Record<string, string>): void;
};
/** In V8 the last resort also gives back to the kernel what it keeps for later. */
const collect = () =>
  runtime.Bun
    ? runtime.Bun.gc(true)
    : runtime.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
const name = runtime.Bun ? "bun" : "deno";
const live = process.stderr.isTTY === true;
const random = new Random(seed);
const tally = new Tally();
const storm = process.env.URINGNET_LIBRARY?.includes("faults")
  ? new FaultStorm(process.env.URINGNET_LIBRARY, random.fork())
  : null;

openSignals();
// Descriptors that the runtime opens with the first ring stay open.
await (await Network.start()).close();
await pause(1_000);
const descriptorsBefore = descriptors().size;
const networks = await Promise.all([
  Network.start({ ring: { topology: "shared" } }),
  Network.start({ ring: { topology: "split" } }),
]);
const started = performance.now();
const endMs = started + minutes * 60_000;
let running = false;

function startActors(): Promise<unknown> {
  const acts: Promise<void>[] = [];
  const stages: Stage[] = networks.map((listening, i) => ({
    listening,
    dialing: networks[1 - i],
    tally,
    slowness,
    running: () => running,
  }));
  for (const [at, stage] of stages.entries()) {
    for (const [kind, count, actor] of ACTORS) {
      for (let i = 0; i < count; i++) {
        const actorName = `${kind} ${at}.${i}`;
        tally.movedAt.set(actorName, performance.now());
        acts.push(
          actor(stage, actorName, random.fork())
            .catch((error) => tally.complain(`${actorName}: ${error?.stack ?? error}`))
            .finally(() => tally.movedAt.delete(actorName)),
        );
      }
    }
  }
  return Promise.all(acts);
}

function inFlight(): number {
  return networks.reduce((sum, network) => {
    const { sendsPending, receivesPending } = network.stats();
    return sum + sendsPending + receivesPending;
  }, 0);
}

/** Buffers in use by the program or the kernel. */
function held(): number {
  return networks.reduce(
    (sum, { pool }) =>
      sum + pool.stats().classes.reduce((all, { allocated }) => all + allocated, 0),
    0,
  );
}

/** At rest, one for each round. */
const samples: Sample[] = [];
let cpuBefore = process.cpuUsage();
let cpuAtMs = started;

function cpuShare(now: number): number {
  const used = process.cpuUsage(cpuBefore);
  const share = (used.user + used.system) / 1_000 / (now - cpuAtMs);
  cpuBefore = process.cpuUsage();
  cpuAtMs = now;
  return share;
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function report(what: string): Sample {
  const now = performance.now();
  const seconds = (now - started) / 1_000;
  const { rss: rssBytes, heapUsed } = process.memoryUsage();
  const text =
    `${name} ${seconds.toFixed(0).padStart(5)} s ${what} ${grouped(tally.messages)} messages, ` +
    `${grouped(tally.bytes / (1 << 20))} MiB verified, ${grouped(tally.disturbed)} ended early, ` +
    `${grouped(storm?.struck ?? 0)} faults  rss ${(rssBytes / (1 << 20)).toFixed(1)} MiB, ` +
    `heap ${(heapUsed / (1 << 20)).toFixed(1)} MiB  ` +
    `fds ${descriptors().size}  in flight ${inFlight()}  pool ${held()}  ` +
    `cpu ${(cpuShare(now) * 100).toFixed(0)} %` +
    (tally.complaintCount > 0 ? `  ${tally.complaintCount} COMPLAINTS` : "");
  process.stderr.write(live ? `\r\x1b[K${text}` : `${text}\n`);
  return { seconds, rssBytes };
}

/** Plays one round. False when an actor hangs. */
async function play(): Promise<boolean> {
  running = true;
  const acting = startActors();
  let done = false;
  void acting.then(() => done = true);
  const roundEndMs = Math.min(performance.now() + ROUND_MS, endMs);
  let lineAt = performance.now() + LINE_EVERY_MS;
  while (!done) {
    await pause(FAULTS_EVERY_MS);
    const now = performance.now();
    if (now >= roundEndMs) running = false;
    if (running) storm?.change();
    else storm?.end();
    const stuck = tally.stuck(STUCK_MS);
    if (stuck.length > 0) {
      tally.complain(`nothing moves: ${stuck.join(", ")}; in flight ${inFlight()}`);
      return false;
    }
    if (running && now >= lineAt) {
      collect();
      report("plays  ");
      lineAt = now + LINE_EVERY_MS;
    }
  }
  return true;
}

async function collectAll(): Promise<void> {
  for (let i = 0; i < COLLECTIONS; i++) {
    collect();
    await pause(COLLECTION_PAUSE_MS);
  }
}

function expectNothingLeft(when: string, descriptorsMax: number): void {
  const left = {
    "operations in flight": inFlight(),
    "connections": networks.reduce((sum, network) => sum + network.stats().connections, 0),
    "leaked buffers": networks.reduce((sum, { pool }) => sum + pool.stats().leaked, 0),
    "more descriptors than before": Math.max(descriptors().size - descriptorsMax, 0),
  };
  for (const [what, count] of Object.entries(left)) {
    if (count !== 0) tally.complain(`left ${when}: ${count} ${what}`);
  }
}

/** Plays round after round. False when an actor hangs. */
async function playRounds(): Promise<boolean> {
  const descriptorsOpen = descriptors().size;
  while (performance.now() < endMs) {
    if (!await play()) return false;
    await collectAll();
    samples.push(report("at rest"));
    expectNothingLeft(`after ${samples.length} rounds`, descriptorsOpen);
  }
  return true;
}

async function closeNetworks(): Promise<void> {
  await Promise.all(networks.map((network) => network.close()));
  await collectAll();
  expectNothingLeft("at the end", descriptorsBefore);
  if (held() !== 0) tally.complain(`left at the end: ${held()} buffers of the pools`);
}

function judgeMemory(): string {
  const seconds = minutes * 60;
  const from = Math.min(seconds * WARM_UP_PART, WARM_UP_SECONDS_MAX);
  const later = samples.filter((sample) => sample.seconds >= from);
  const trend = trendOf(later);
  if (trend === null) return "memory: too few samples";
  const text = `memory at rest: ${trend.mibPerHour.toFixed(2)} MiB per hour (+- ` +
    `${trend.errorMibPerHour.toFixed(2)}, ${trend.samples} rounds after ${from.toFixed(0)} s)`;
  if (minutes < JUDGED_FROM_MINUTES) {
    return `${text}: not judged, that takes ${JUDGED_FROM_MINUTES} minutes`;
  }
  const certainly = trend.mibPerHour - 2 * trend.errorMibPerHour;
  if (certainly > GROWTH_MAX_MIB_PER_HOUR) tally.complain(`${text}: it grows`);
  return text;
}

console.log(`${name}: ${minutes} minutes, seed ${seed}, ${storm ? "with" : "without"} faults`);
const moved = await playRounds();
if (live) process.stderr.write("\n");
if (moved) await closeNetworks();
const memory = judgeMemory();
const seconds = (performance.now() - started) / 1_000;
console.log(
  `${name}: ${grouped(tally.messages)} messages, ${
    grouped(tally.bytes / (1 << 20))
  } MiB verified in ` +
    `${seconds.toFixed(0)} s; ${grouped(tally.disturbed)} calls ended early, ` +
    `${grouped(storm?.struck ?? 0)} faults struck\n` +
    `${name}: ${memory}\n` +
    `${name}: descriptors ${descriptorsBefore} before, ${descriptors().size} after`,
);
for (const complaint of tally.complaints) console.log(`${name}: ${complaint}`);
console.log(
  tally.complaintCount === 0
    ? `${name}: every byte right, nothing left`
    : `${name}: FAILED, ${tally.complaintCount} complaints`,
);
process.exit(tally.complaintCount === 0 ? 0 : 1);

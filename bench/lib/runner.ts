/**
 * Measures cases in interleaved rounds: every peer once in each round, in a rotated order, so that
 * whatever the machine does meanwhile falls on all of them. The servers of a case stay from round
 * to round, so rounds can be short and many.
 *
 * @module
 */
import type { Case } from "./cases.ts";
import type { Machine } from "./machine.ts";
import { measure, measureClosing, obstacle, type Window, windowOf } from "./measure.ts";
import type { Sample } from "./metrics.ts";
import type { Peer, Runtimes } from "./peers.ts";
import { type Estimate, formatSeconds, type Progress } from "./progress.ts";
import { type CaseResult, newPeerResult, type PeerResult } from "./results.ts";
import { keepsServers, Stand, StartError } from "./stand.ts";
import { runStart } from "./start.ts";
import { rotated } from "./statistics.ts";

export interface Plan {
  cases: readonly Case[];
  /** Which peers take part in a case. */
  peersOf(work: Case): Peer[];
  rounds: number;
  window: Window;
  /** Nothing is to be learned: no case gets a longer window. */
  quick: boolean;
}

/** Starting and ending a server. */
const START_SECONDS = 0.5;

/** Connecting to it, and draining. */
const STEP_OVERHEAD_SECONDS = 0.1;

/** Warm-up of a server that was measured before: fills caches, compiles nothing. */
const SETTLING_SECONDS = 0.2;

interface Step {
  work: Case;
  round: number;
  window: Window;
  stand: Stand;
}

export class Runner {
  readonly #plan: Plan;
  readonly #machine: Machine;
  readonly #runtimes: Runtimes;
  readonly #progress: Progress;
  readonly #estimate: Estimate;
  readonly #steps: number;
  #step = 0;

  constructor(
    plan: Plan,
    machine: Machine,
    runtimes: Runtimes,
    progress: Progress,
    estimate: Estimate,
  ) {
    this.#plan = plan;
    this.#machine = machine;
    this.#runtimes = runtimes;
    this.#progress = progress;
    this.#estimate = estimate;
    let steps = 0;
    for (const work of plan.cases) {
      const count = plan.peersOf(work).length;
      steps += count * plan.rounds;
      for (let round = 0; round < plan.rounds; round++) {
        estimate.expect(count * this.#expected(work, round));
      }
    }
    this.#steps = steps;
  }

  async run(work: Case): Promise<CaseResult> {
    const { rounds } = this.#plan;
    const peers = this.#plan.peersOf(work);
    const window = this.#windowOf(work);
    const skipped = obstacle(work, this.#machine);
    const results = new Map(peers.map((peer) => [peer, newPeerResult(peer)]));
    const stand = new Stand(work, this.#machine);
    for (let round = 0; round < rounds; round++) {
      for (const peer of rotated(peers, round)) {
        const result = results.get(peer) as PeerResult;
        const start = performance.now();
        const step = { work, round, window, stand };
        const ran = skipped === null && await this.#measure(peer, result, step);
        const took = ran ? (performance.now() - start) / 1_000 : 0;
        this.#estimate.done(this.#expected(work, round), took);
      }
    }
    await stand.close();
    return { case: work, skipped, seconds: window.seconds, peers: [...results.values()] };
  }

  /** Adds one sample to `result`. False when there was nothing to measure. */
  async #measure(peer: Peer, result: PeerResult, step: Step): Promise<boolean> {
    const { work, round, stand } = step;
    this.#step += 1;
    if (result.missing !== null) return false;
    const command = this.#runtimes.command(peer, work);
    if (typeof command === "string") {
      result.missing = command;
      return false;
    }
    this.#progress.show(
      `[${this.#step}/${this.#steps}] ${work.name}, round ${round + 1} of ${this.#plan.rounds}, ` +
        `${peer.name}; ${formatSeconds(this.#estimate.secondsLeft)} left`,
    );
    try {
      result.samples.push(await this.#load(peer, command, step));
    } catch (error) {
      // In the first round, what does not start cannot run here; later it is an accident.
      if (error instanceof StartError && round === 0) {
        result.missing = error.message;
        return false;
      }
      await stand.drop(peer.name);
      result.samples.push(null);
      result.failures.push(`round ${round + 1}: ${(error as Error).message}`);
    }
    return true;
  }

  async #load(peer: Peer, command: readonly string[], step: Step): Promise<Sample> {
    const { work, window, stand } = step;
    if (work.work.kind === "closing") return await measureClosing(command, this.#machine);
    if (work.work.kind === "start") return await runStart(command, this.#machine.pins.server);
    const { server, fresh } = await stand.take(peer.name, command);
    const warmup = fresh ? window.warmup : Math.min(window.warmup, SETTLING_SECONDS);
    const sample = await measure(server, work, { ...window, warmup }, this.#machine);
    if (!keepsServers(work)) await stand.drop(peer.name);
    return sample;
  }

  #windowOf(work: Case): Window {
    return windowOf(work, this.#plan.window, this.#plan.quick);
  }

  #expected(work: Case, round: number): number {
    const overhead = work.overheadSeconds ?? STEP_OVERHEAD_SECONDS;
    const { kind } = work.work;
    if (kind === "start" || kind === "closing") return START_SECONDS + overhead;
    const { seconds, warmup } = this.#windowOf(work);
    const starts = round === 0 || !keepsServers(work);
    const before = starts ? START_SECONDS + warmup : Math.min(warmup, SETTLING_SECONDS);
    return before + seconds + overhead;
  }
}

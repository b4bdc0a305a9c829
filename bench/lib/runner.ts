/**
 * Measures cases in interleaved rounds: every peer once in each round, in a rotated order, so that
 * whatever the machine does meanwhile falls on all of them.
 *
 * @module
 */
import { type Case } from "./cases.ts";
import type { Machine } from "./machine.ts";
import { measure, obstacle, StartError, type Window, windowOf } from "./measure.ts";
import type { Peer, Runtimes } from "./peers.ts";
import { type Estimate, formatSeconds, type Progress } from "./progress.ts";
import { type CaseResult, newPeerResult, type PeerResult } from "./results.ts";
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

/** Starting and ending a server, and connecting to it. */
const STEP_OVERHEAD_SECONDS = 0.6;

interface Step {
  work: Case;
  round: number;
  window: Window;
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
      const count = plan.peersOf(work).length * plan.rounds;
      steps += count;
      estimate.expect(count * this.#expected(this.#windowOf(work)));
    }
    this.#steps = steps;
  }

  async run(work: Case): Promise<CaseResult> {
    const { rounds } = this.#plan;
    const peers = this.#plan.peersOf(work);
    const window = this.#windowOf(work);
    const skipped = obstacle(work, this.#machine);
    const results = new Map(peers.map((peer) => [peer, newPeerResult(peer)]));
    for (let round = 0; round < rounds; round++) {
      for (const peer of rotated(peers, round)) {
        const result = results.get(peer) as PeerResult;
        const start = performance.now();
        const ran = skipped === null && await this.#measure(peer, result, { work, round, window });
        const took = ran ? (performance.now() - start) / 1_000 : 0;
        this.#estimate.done(this.#expected(window), took);
      }
    }
    return { case: work, skipped, seconds: window.seconds, peers: [...results.values()] };
  }

  /** Adds one sample to `result`. False when there was nothing to measure. */
  async #measure(peer: Peer, result: PeerResult, step: Step): Promise<boolean> {
    const { work, round, window } = step;
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
      result.samples.push(await measure(command, work, window, this.#machine));
    } catch (error) {
      // In the first round, what does not start cannot run here; later it is an accident.
      if (error instanceof StartError && round === 0) {
        result.missing = error.message;
        return false;
      }
      result.samples.push(null);
      result.failures.push(`round ${round + 1}: ${(error as Error).message}`);
    }
    return true;
  }

  #windowOf(work: Case): Window {
    return windowOf(work, this.#plan.window, this.#plan.quick);
  }

  #expected({ seconds, warmup }: Window): number {
    return seconds + warmup + STEP_OVERHEAD_SECONDS;
  }
}

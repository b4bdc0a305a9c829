// The answer to the balancer's agent check, a line on each connection: may this host get requests?
//
// After "drain" the balancer sends no new request. The first answer that says so may still be under
// way; the next check shows that the balancer has read it.
import type { Sink } from "../../mod.ts";

const DRAIN_CHECKS = 2;
/** So often a new host ends the drain of its predecessor; a drain by hand after that stays. */
const READY_CHECKS = 2;
/** Where no balancer asks, the host ends all the same. */
const BALANCER_MS = 10_000;

export class Agent {
  #draining = false;
  #readyChecks = 0;
  #drainChecks = 0;
  readonly #noticed = Promise.withResolvers<void>();

  async answer(sink: Sink): Promise<void> {
    if (!this.#draining) {
      const isNew = ++this.#readyChecks <= READY_CHECKS;
      return await sink.send(isNew ? "ready up\n" : "up\n");
    }
    await sink.send("drain\n");
    if (++this.#drainChecks === DRAIN_CHECKS) this.#noticed.resolve();
  }

  /** Resolves when the balancer knows. */
  async drain(): Promise<void> {
    this.#draining = true;
    const timer = setTimeout(this.#noticed.resolve, BALANCER_MS);
    await this.#noticed.promise;
    clearTimeout(timer);
  }
}

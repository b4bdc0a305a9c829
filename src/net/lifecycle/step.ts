/**
 * Loops over all connections of a network that give way to the event loop.
 *
 * @module
 */
import { LIMITS } from "../../base/limits.ts";
import type { NetworkContext } from "../socket/network_context.ts";

/** The part of a loop over all connections that one round of the event loop has time for. */
export class Step {
  readonly #context: NetworkContext;
  #endMs = 0;

  constructor(context: NetworkContext) {
    this.#context = context;
    this.#begin();
  }

  get isOver(): boolean {
    return this.#context.host.now() >= this.#endMs;
  }

  async next(): Promise<void> {
    await new Promise<void>((resolve) => this.#context.host.setMacrotask(resolve));
    this.#begin();
  }

  #begin(): void {
    this.#endMs = this.#context.host.now() + LIMITS.endStepMs;
  }
}

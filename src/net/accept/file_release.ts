/**
 * The wait for the sockets of a process that has just ended.
 *
 * The sockets of a killed process outlive the process: the kernel closes a descriptor that io_uring
 * uses only when it tears down the ring, some milliseconds later (up to 23 ms when four programs
 * competed for two processors). Until then the dead listener looks alive, and a service that is
 * restarted at once would be refused its own path.
 *
 *   look: a socket is bound --pause, 1 ms and twice as long each time--> look ... -> time is up
 *         anything else -> bind
 *
 * @module
 */
import type { HostTimer } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { formatAddress, type UnixAddress } from "../address/address.ts";
import type { Dialing, NetworkContext } from "../socket/network_context.ts";
import { SocketFile } from "./socket_file.ts";

/** One pause. It is listed among the dials, so that a closing network can end it. */
class Pause implements Dialing {
  rosterIndex = -1;
  readonly name: string;
  readonly #context: NetworkContext;
  readonly #ended = Promise.withResolvers<void>();
  readonly #timer: HostTimer;

  constructor(context: NetworkContext, address: UnixAddress, delayMs: number) {
    this.name = formatAddress(address);
    this.#context = context;
    this.#timer = context.host.setTimer(() => this.giveUp(), delayMs);
    context.dials.add(this);
    context.addReference();
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  giveUp(): void {
    if (!this.#context.dials.delete(this)) return;
    this.#timer.cancel();
    this.#context.removeReference();
    this.#ended.resolve();
  }
}

/**
 * Resolves when no socket is bound to the file, when `LIMITS.fileReleaseMs` are over, or when the
 * network closes.
 */
export async function fileReleased(context: NetworkContext, address: UnixAddress): Promise<void> {
  const file = new SocketFile(context.recvRing.port, address);
  const endMs = context.host.now() + LIMITS.fileReleaseMs;
  for (let pauseMs: number = LIMITS.backOffFirstMs; context.accepting && file.taken;) {
    const leftMs = endMs - context.host.now();
    if (leftMs <= 0) return;
    await new Pause(context, address, Math.min(pauseMs, leftMs)).ended;
    pauseMs = Math.min(pauseMs * 2, LIMITS.backOffLastMs);
  }
}

/**
 * One `dial()`: name lookup, then a race of the addresses, all within one budget (RFC 8305).
 *
 *   lookup -> addresses, IPv6 and IPv4 in turn
 *   attempt 1 --delay, or failure--> attempt 2 --delay, or failure--> attempt 3 ...
 *       +---------------------------------+------ first to connect ----> the connection
 *                                                 others ---------------> closed
 *
 * Invariants
 * - Attempts begin in the order of the addresses. An attempt begins when the previous one has
 *   failed, or has been pending for the delay.
 * - The end of the dial withdraws the remaining attempts. A connection that one of them still makes
 *   is closed.
 * - A dial that fails has one error for each address.
 *
 * @module
 */
import { ERRNO, errnoText } from "../../base/errno.ts";
import type { HostTimer } from "../../base/host.ts";
import { COUNT } from "../../base/meter.ts";
import { internalReason, NetworkError } from "../../base/network_error.ts";
import { formatAddress, isUnix, type SocketAddress, type UnixAddress } from "../address/address.ts";
import { Call } from "../call/call.ts";
import { refusalCode } from "../config/backend.ts";
import { type AttemptFailure, ConnectAttempt } from "./connect_attempt.ts";
import type { CheckedDialOptions } from "./dial_options.ts";
import { dialedConnection } from "./dialed_connection.ts";
import { LoopReference } from "../call/loop_reference.ts";
import { lookUpError } from "../address/look_up.ts";
import type { Dialing, NetworkContext } from "../socket/network_context.ts";

/** Errnos that concern the addresses and routes of this machine, and not the peer. */
const UNREACHABLE_ERRNOS = [ERRNO.EADDRNOTAVAIL, ERRNO.EAFNOSUPPORT, ERRNO.ENETUNREACH];

type NumericAddress = SocketAddress | UnixAddress;

/** An address with its attempt and its failure. */
interface Candidate {
  readonly address: NumericAddress;
  /** The local end of the connection; null to leave the choice to the kernel. */
  readonly local: NumericAddress | null;
  attempt: ConnectAttempt | null;
  error: NetworkError | null;
}

export class Dial extends Call implements Dialing {
  rosterIndex = -1;
  readonly name: string;
  override readonly loopReference: LoopReference;
  readonly #context: NetworkContext;
  readonly #address: NumericAddress;
  readonly #options: CheckedDialOptions;
  #candidates: Candidate[] = [];
  /** Candidates whose attempts have begun. */
  #startedCount = 0;
  #pendingCount = 0;
  #delay: HostTimer | null = null;
  /**
   * The failure of the last address that this machine can reach, or of the first address when it
   * can reach none.
   */
  #lastError: NetworkError | null = null;

  constructor(context: NetworkContext, address: NumericAddress, options: CheckedDialOptions) {
    super();
    this.#context = context;
    this.#address = address;
    this.#options = options;
    this.name = formatAddress(address);
    this.loopReference = new LoopReference(context);
  }

  protected override enqueue(): void {
    this.#context.dials.add(this);
    this.#findCandidates().then(
      (candidates) => {
        this.#candidates = candidates;
        if (!this.settled) this.#next();
      },
      (cause) => this.giveUp(lookUpError("ConnectionFailed", this.name, cause)),
    );
  }

  override expire(): void {
    this.#context.meter.counts[COUNT.timeoutsConnect]++;
    const reason = `${this.timeoutMs} ms passed`;
    for (const candidate of this.#candidates) {
      candidate.error ??= this.#timeout(this.#subject(candidate.address), reason, undefined, []);
    }
    this.giveUp(this.#timeout(this.name, reason, this.#lastError ?? undefined, this.#errors()));
  }

  override abort(reason: unknown): void {
    this.giveUp(reason);
  }

  /** Ends the dial. Attempts are cancelled, and close their descriptors once they have landed. */
  giveUp(reason: unknown): void {
    if (this.settled) return;
    this.#context.dials.delete(this);
    this.fail(reason);
    this.#withdraw();
  }

  async #findCandidates(): Promise<Candidate[]> {
    const { family, local } = this.#options;
    const addresses = await this.#context.lookUp(this.#address, family);
    const locals = local === null ? null : await this.#context.lookUp(local, family);
    const candidates: Candidate[] = [];
    for (const address of addresses) {
      const start = locals === null ? null : locals.find((one) => sameFamily(one, address));
      if (start !== undefined) {
        candidates.push({ address, local: start, attempt: null, error: null });
      }
    }
    return candidates;
  }

  /** Starts the next attempt, or all attempts that are due at once. */
  #next(): void {
    this.#delay?.cancel();
    this.#delay = null;
    const { attemptDelayMs } = this.#options;
    do {
      const candidate = this.#candidates[this.#startedCount];
      if (candidate === undefined) break;
      this.#startedCount++;
      this.#attempt(candidate);
      // An error inside the library has ended the dial at once.
      if (this.settled) return;
    } while (attemptDelayMs === 0);
    if (this.#pendingCount === 0) return this.giveUp(this.#failure());
    if (this.#startedCount === this.#candidates.length) return;
    this.#delay = this.#context.host.setTimer(() => {
      this.#delay = null;
      this.#next();
    }, attemptDelayMs);
  }

  #attempt(candidate: Candidate): void {
    this.#pendingCount++;
    candidate.attempt = new ConnectAttempt(
      this.#context,
      candidate,
      this.#options.socket,
      (failure, fd, family) => {
        this.#pendingCount--;
        candidate.attempt = null;
        if (failure === null) this.#connected(fd, family, candidate.address);
        else this.#failed(candidate, failure);
      },
    );
    candidate.attempt.start();
  }

  #failed(candidate: Candidate, failure: AttemptFailure): void {
    if (failure.broken !== null) return this.giveUp(this.#internalError(failure.broken.cause));
    const { errno } = failure;
    const subject = this.#subject(candidate.address);
    const from = failure.atLocalEnd && candidate.local !== null
      ? ` from ${formatAddress(candidate.local)}`
      : "";
    candidate.error = this.#error(`${subject}${from}`, errno, []);
    if (this.#lastError === null || !UNREACHABLE_ERRNOS.includes(errno)) {
      this.#lastError = candidate.error;
    }
    this.#next();
  }

  #connected(fd: number, family: number, address: NumericAddress): void {
    const connection = dialedConnection(this.#context, fd, family, address);
    this.#context.dials.delete(this);
    this.succeed(connection);
    this.#withdraw();
  }

  /** Ends the attempts in flight, and starts no other attempt. */
  #withdraw(): void {
    this.#delay?.cancel();
    this.#delay = null;
    for (const { attempt } of this.#candidates) attempt?.cancel();
  }

  #errors(): NetworkError[] {
    return this.#candidates.map(({ error }) => error).filter((error) => error !== null);
  }

  /** The most specific error, with the errors of all addresses. */
  #failure(): NetworkError {
    const last = this.#lastError;
    if (last === null) {
      const { family, local } = this.#options;
      const wanted = family === null ? "" : ` of IPv${family}`;
      const from = local === null ? "" : ` that ${formatAddress(local)} can reach`;
      return new NetworkError(
        `Cannot connect to ${this.name}: there is no address${wanted}${from}`,
        { code: "ConnectionFailed", operation: "dial", errno: ERRNO.EADDRNOTAVAIL },
      );
    }
    const { message, code, operation } = last;
    const errno = ERRNO[last.errno ?? ""] ?? null;
    return new NetworkError(message, { code, operation, errno, errors: this.#errors() });
  }

  #internalError(cause: unknown): NetworkError {
    return new NetworkError(`Cannot connect to ${this.name}: ${internalReason(cause)}`, {
      code: "ConnectionFailed",
      operation: "dial",
      cause,
    });
  }

  #timeout(
    subject: string,
    reason: string,
    cause: unknown,
    errors: readonly NetworkError[],
  ): NetworkError {
    const details = { code: "Timeout", operation: "dial", cause, errors } as const;
    return new NetworkError(`Cannot connect to ${subject}: ${reason}`, details);
  }

  #error(subject: string, errno: number, errors: readonly NetworkError[]): NetworkError {
    return new NetworkError(`Cannot connect to ${subject}: ${errnoText(errno)}`, {
      code: refusalCode(errno, "ConnectionFailed"),
      operation: "dial",
      errno,
      errors,
    });
  }

  #subject(address: NumericAddress): string {
    const numeric = formatAddress(address);
    return numeric === this.name ? numeric : `${this.name} (${numeric})`;
  }
}

function sameFamily(one: NumericAddress, other: NumericAddress): boolean {
  if (isUnix(one) || isUnix(other)) return isUnix(one) === isUnix(other);
  return one.hostname.includes(":") === other.hostname.includes(":");
}

/**
 * The services of the runtime that the core needs besides the ring: time, tasks and names. The real
 * host is in `ffi/host.ts`; tests pass a host whose clock they move.
 *
 * @module
 */

export interface HostTimer {
  cancel(): void;
}

export interface Host {
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  /** Calls back once, after at least `delayMs`. The timer does not keep the process alive. */
  setTimer(callback: () => void, delayMs: number): HostTimer;
  /** Waits for `delayMs`, and keeps the process alive meanwhile. */
  pause(delayMs: number): Promise<void>;
  /** Calls back after the runtime has run its timers and I/O. */
  setMacrotask(callback: () => void): void;
  /** Numeric addresses of a name, in the order of preference. */
  resolve(name: string): Promise<readonly { address: string; family: 4 | 6 }[]>;
  /** Prints one line for the operator, on stderr. */
  warn(line: string): void;
  /** An environment variable; undefined when it is unset or not permitted. Never prompts. */
  environment(name: string): string | undefined;
  /** The number of this process. */
  readonly processId: number;
}

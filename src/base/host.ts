/**
 * What the core needs of its runtime besides the ring: time, tasks and names. The real one is in
 * `ffi/host.ts`; tests pass one whose clock they move.
 *
 * @module
 */

export interface HostTimer {
  cancel(): void;
}

export interface Host {
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  /** Calls once, after at least `delayMs`. Does not keep the process alive. */
  setTimer(callback: () => void, delayMs: number): HostTimer;
  /** Waits, and keeps the process alive meanwhile. */
  pause(delayMs: number): Promise<void>;
  /** Calls after timers and I/O of the runtime had their chance. */
  setMacrotask(callback: () => void): void;
  /** Numeric addresses of a name, in the order of preference. */
  resolve(name: string): Promise<readonly { address: string; family: 4 | 6 }[]>;
  /** Tells the operator one line, on stderr. */
  warn(line: string): void;
  /** An environment variable; undefined when it is unset or not permitted. Never prompts. */
  environment(name: string): string | undefined;
  /** The number of this process. */
  readonly processId: number;
}

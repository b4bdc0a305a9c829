/**
 * RFC 8305: addresses of a name are tried one after the other, a short delay apart, families
 * alternating; the first that connects is taken, and the other attempts end.
 *
 * @module
 */
import { clearTimeout, setTimeout } from "node:timers";

/** An address of a name. */
export interface Candidate {
  hostname: string;
  family: 4 | 6;
}

/**
 * Runs attempts over `candidates`, the next one when `delayMs` has passed or all before it have
 * failed. Resolves with the first success; `attempt` must reject once its signal is aborted, and
 * `discard` gets the result of an attempt that the abort comes too late for. Rejects with the error
 * of the first candidate when all have failed, or with the reason of `signal`.
 */
export function happyEyeballs<T>(
  candidates: readonly Candidate[],
  delayMs: number,
  signal: AbortSignal | undefined,
  attempt: (candidate: Candidate, signal: AbortSignal) => Promise<T>,
  discard: (late: T) => void,
): Promise<T> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const others = new AbortController();
  const all = signal === undefined ? others.signal : AbortSignal.any([signal, others.signal]);
  const errors: unknown[] = [];
  let started = 0;
  let failed = 0;
  let settled = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const settle = (end: () => void) => {
    settled = true;
    clearTimeout(timer);
    end();
    others.abort();
  };
  const next = () => {
    clearTimeout(timer);
    if (started === candidates.length || all.aborted) return;
    const index = started++;
    if (started < candidates.length) timer = setTimeout(next, delayMs);
    attempt(candidates[index], all).then(
      (value) => {
        if (settled) discard(value);
        else settle(() => resolve(value));
      },
      (error) => {
        if (settled) return;
        errors[index] = error;
        failed++;
        if (signal?.aborted) settle(() => reject(signal.reason));
        else if (failed === candidates.length) settle(() => reject(errors[0]));
        else if (failed === started) next();
      },
    );
  };
  next();
  return promise;
}

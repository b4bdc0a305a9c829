/**
 * RFC 8305: addresses of a name are tried one after the other, a short delay apart, families
 * alternating; the first that connects is taken, and the other attempts end.
 *
 * @module
 */

/** An address of a name. */
export interface Candidate {
  hostname: string;
  family: 4 | 6;
}

/**
 * Runs attempts over `candidates`, the next one when `delayMs` has passed or all before it have
 * failed. Resolves with the first success; `attempt` must reject once its signal is aborted.
 * Rejects with the error of the first candidate when all have failed, or with the reason of
 * `signal`.
 */
export function happyEyeballs<T>(
  candidates: readonly Candidate[],
  delayMs: number,
  signal: AbortSignal | undefined,
  attempt: (candidate: Candidate, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const others = new AbortController();
  const all = signal === undefined ? others.signal : AbortSignal.any([signal, others.signal]);
  const errors: unknown[] = [];
  let started = 0;
  let failed = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const next = () => {
    clearTimeout(timer);
    if (started === candidates.length || all.aborted) return;
    const index = started++;
    if (started < candidates.length) timer = setTimeout(next, delayMs);
    attempt(candidates[index], all).then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
        others.abort();
      },
      (error) => {
        errors[index] = error;
        failed++;
        if (signal?.aborted) reject(signal.reason);
        else if (failed === candidates.length) reject(errors[0]);
        else if (failed === started) next();
      },
    );
  };
  next();
  return promise;
}

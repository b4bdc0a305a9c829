/**
 * A signal that counts its listeners.
 *
 * @module
 */

export function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = new Set<unknown>();
  let count = 0;
  const add = signal.addEventListener.bind(signal) as (...data: unknown[]) => void;
  const remove = signal.removeEventListener.bind(signal) as (...data: unknown[]) => void;
  signal.addEventListener = (type: string, listener: unknown, options?: unknown) => {
    listeners.add(listener);
    count++;
    add(type, listener, options);
  };
  signal.removeEventListener = (type: string, listener: unknown) => {
    listeners.delete(listener);
    remove(type, listener);
  };
  /** Listeners that were ever added. */
  const added = () => count;
  return { controller, signal, listeners, added };
}

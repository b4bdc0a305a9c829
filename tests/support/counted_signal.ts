/**
 * A signal whose listeners can be counted.
 *
 * @module
 */
import { getEventListeners } from "node:events";

/** Listeners of a signal that wait for its abort. */
export function listenerCount(signal: AbortSignal): number {
  return getEventListeners(signal, "abort").length;
}

export function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  return { controller, signal, listenerCount: () => listenerCount(signal) };
}

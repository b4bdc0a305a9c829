/**
 * The runtime's `queueMicrotask`, as it was when this module was loaded.
 *
 * Test frameworks put a fake queue in the place of the global one. The runtimes' own sockets go on
 * then, and so does this library.
 *
 * @module
 */
type QueueMicrotask = (task: () => void) => void;

export let queueMicrotask: QueueMicrotask = globalThis.queueMicrotask;

/**
 * Replaces `queueMicrotask`, for a test that catches the errors of tasks. Returns the function that
 * was in use.
 * @internal
 */
export function replaceQueueMicrotask(other: QueueMicrotask): QueueMicrotask {
  const former = queueMicrotask;
  queueMicrotask = other;
  return former;
}

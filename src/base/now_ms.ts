/**
 * The clock, as it was when this module was loaded: the fake clocks of test frameworks stand still.
 *
 * @module
 */
const { performance } = globalThis;

/** Milliseconds on the clock of `performance.now()`. */
export const nowMs: () => number = performance.now.bind(performance);

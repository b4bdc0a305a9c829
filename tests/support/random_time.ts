/**
 * How long random programs are played: shortly in the tests, as long as wanted with
 * URINGNET_RANDOM_MS.
 *
 * @module
 */
import process from "node:process";

const VARIABLE = "URINGNET_RANDOM_MS";
const TIME_MS_MAX = 86_400_000;

/** `usualMs`, unless the environment asks for more. */
export function randomMs(usualMs: number): number {
  const given = process.env[VARIABLE];
  if (given === undefined || given === "") return usualMs;
  const timeMs = Number(given);
  if (!Number.isInteger(timeMs) || timeMs < 1 || timeMs > TIME_MS_MAX) {
    throw new RangeError(`${VARIABLE} must be 1 to ${TIME_MS_MAX}, got "${given}"`);
  }
  return Math.max(timeMs, usualMs);
}

/**
 * How long random programs are played: shortly in the tests, as long as wanted with
 * URINGNET_RANDOM_MS.
 *
 * @module
 */
import { raised } from "./raised.ts";

const TIME_MS_MAX = 86_400_000;

/** `usualMs`, unless the environment asks for more. */
export function randomMs(usualMs: number): number {
  return raised(usualMs, "URINGNET_RANDOM_MS", TIME_MS_MAX);
}

/**
 * How many seeds a scenario of the simulator is played with: few in the tests, as many as wanted
 * with URINGNET_SIM_SEEDS, as `make fuzz` does.
 *
 * @module
 */
import { raised } from "./raised.ts";

const SEEDS_MAX = 1_000_000;

/** `usual`, unless the environment asks for more. */
export function seedCount(usual: number): number {
  return raised(usual, "URINGNET_SIM_SEEDS", SEEDS_MAX);
}

/**
 * The process-wide defaults of choosing between IPv4 and IPv6. They begin with those of the
 * runtime, which knows the options of its own command line.
 *
 * @module
 */
import { runtimeNet } from "./runtime_net.ts";
import { validate } from "./validate.ts";

/** Less than this no attempt is given. */
const ATTEMPT_MS_MIN = 10;

let enabled: boolean = runtimeNet.getDefaultAutoSelectFamily();
let attemptMs: number = runtimeNet.getDefaultAutoSelectFamilyAttemptTimeout();

function getDefault(): boolean {
  return enabled;
}

function setDefault(value: boolean): void {
  enabled = validate.flag(value, "value");
}

function getAttemptTimeout(): number {
  return attemptMs;
}

function setAttemptTimeout(value: number): void {
  attemptMs = atLeast(validate.integer(value, "value", 1));
}

function atLeast(timeoutMs: number): number {
  return Math.max(timeoutMs, ATTEMPT_MS_MIN);
}

export const autoSelectFamily = {
  atLeast,
  getAttemptTimeout,
  getDefault,
  setAttemptTimeout,
  setDefault,
};

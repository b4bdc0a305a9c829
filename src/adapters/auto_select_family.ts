/**
 * The process-wide defaults for choosing between IPv4 and IPv6: those of `NODE_OPTIONS`, else the
 * runtime's.
 *
 *   --no-network-family-autoselection   --network-family-autoselection-attempt-timeout=250
 *
 * @module
 */
import { nodeOptions } from "./node_options.ts";
import { runtimeNet } from "./runtime_net.ts";
import { validate } from "./validate.ts";

/** The shortest time that one attempt may take. */
const ATTEMPT_MS_MIN = 10;

const OFF = "--no-network-family-autoselection";
const ATTEMPT = "--network-family-autoselection-attempt-timeout=";

let enabled: boolean = runtimeNet.getDefaultAutoSelectFamily();
let attemptMs: number = runtimeNet.getDefaultAutoSelectFamilyAttemptTimeout();

for (const option of nodeOptions()) {
  if (option === OFF) enabled = false;
  const given = option.startsWith(ATTEMPT) ? Number(option.slice(ATTEMPT.length)) : NaN;
  if (Number.isInteger(given) && given > 0) attemptMs = atLeast(given);
}

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

/**
 * The module that test files import: suites that run natively in both runtimes, assertions, limits,
 * promises to settle, and random choices that can be repeated. Each has a file of its own in
 * harness/.
 *
 * @module
 */
export {
  assert,
  bytesEqual,
  type RejectedError,
  type RejectionCheck,
  rejects,
} from "./harness/assertions.ts";
export { type Deferred, deferred } from "./harness/deferred.ts";
export { Random } from "./harness/random.ts";
export { randomSeed } from "./harness/seed.ts";
export {
  type Body,
  DEFAULT_TIMEOUT_MS,
  type Hook,
  type Suite,
  suite,
  type TestOptions,
} from "./harness/suite.ts";
export { patience } from "./harness/time_limit.ts";

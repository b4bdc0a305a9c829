import { LIMITS } from "../../../src/base/limits.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("LIMITS");

test("limits that depend on each other agree", () => {
  assert.is(LIMITS.iovecBatchSize, 32);
  assert.is(LIMITS.copyWindowBytes, 64 * 1024);
  assert.ok(LIMITS.gatherCopyBytes < LIMITS.copyWindowBytes);
  assert.ok(LIMITS.iovecBatchSize * 12 <= 512, "a block holds the triples of one batch");
  assert.ok(LIMITS.backOffFirstMs < LIMITS.backOffLastMs);
  assert.ok(LIMITS.acceptBackOffFirstMs < LIMITS.acceptBackOffLastMs);
  assert.is(LIMITS.timeoutMsMax, 2 ** 31 - 1);
  assert.is(LIMITS.lengthMax, 2 ** 32 - 1);
  assert.ok(Object.isFrozen(LIMITS));
});

test.run();

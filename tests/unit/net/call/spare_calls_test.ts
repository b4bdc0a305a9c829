import { LIMITS } from "../../../../src/base/limits.ts";
import { SpareCalls } from "../../../../src/net/call/spare_calls.ts";
import { assert, suite } from "../../../harness.ts";

const test = suite("SpareCalls");

test("take() returns the call that was put last, and null when none is left", () => {
  const spares = new SpareCalls<string>();
  assert.is(spares.take(), null);
  spares.put("a");
  spares.put("b");
  assert.equal([spares.take(), spares.take(), spares.take()], ["b", "a", null]);
});

test("no more calls are kept than the limit", () => {
  const spares = new SpareCalls<number>();
  for (let i = 0; i < LIMITS.spareCallCountMax + 10; i++) spares.put(i);
  let count = 0;
  while (spares.take() !== null) count++;
  assert.is(count, LIMITS.spareCallCountMax);
});

test.run();

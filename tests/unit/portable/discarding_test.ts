import {
  Discarding,
  LINGER_BYTES_CAME,
  LINGER_OVER,
  LINGER_WAITS,
} from "../../../src/portable/discarding.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("Discarding");

/** Blocks the event loop, as a program may. */
function block(milliseconds: number): void {
  const endMs = performance.now() + milliseconds;
  while (performance.now() < endMs);
}

test("the first check after a blocked event loop is no proof of quiet", () => {
  const discarding = new Discarding();
  discarding.begin(performance.now());
  discarding.note(1_000);
  assert.is(discarding.look(false, false), LINGER_BYTES_CAME);
  block(120);
  assert.is(discarding.look(false, false), LINGER_WAITS, "the bytes may not have been read yet");
  assert.is(discarding.look(false, false), LINGER_OVER);
});

test("without bytes that the peer may not have, one quiet check is enough", () => {
  const discarding = new Discarding();
  discarding.begin(-Infinity);
  discarding.note(1_000);
  assert.is(discarding.look(false, false), LINGER_BYTES_CAME);
  assert.is(discarding.look(false, false), LINGER_OVER);
});

test("FIN of the peer ends the wait, once the runtime has sent everything", () => {
  const discarding = new Discarding();
  discarding.begin(performance.now());
  assert.is(discarding.look(true, true), LINGER_WAITS);
  assert.is(discarding.look(false, true), LINGER_OVER);
});

test.run();

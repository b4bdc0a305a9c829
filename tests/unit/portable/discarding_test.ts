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

const FEW = { unsent: false, sentAtMs: -Infinity };
/** More than a few bytes, a minute ago or now. */
const earlier = () => ({ unsent: false, sentAtMs: performance.now() - 60_000 });
const now = () => ({ unsent: false, sentAtMs: performance.now() });

/** About as long as a quiet peer is awaited. */
const QUIET_MS = 1_020;

test("the first check after a blocked event loop is no proof of quiet", () => {
  const discarding = new Discarding();
  discarding.begin(now());
  discarding.note(1_000);
  assert.is(discarding.look(false, false), LINGER_BYTES_CAME);
  block(QUIET_MS);
  assert.is(discarding.look(false, false), LINGER_WAITS, "the bytes may not have been read yet");
  assert.is(discarding.look(false, false), LINGER_OVER);
});

test("a quiet peer that got nothing lately is not awaited, and one that goes on sending is", () => {
  const quiet = new Discarding();
  quiet.begin(earlier());
  assert.is(quiet.look(false, false), LINGER_OVER);
  const sending = new Discarding();
  sending.begin(earlier());
  for (let i = 0; i < 10; i++) {
    sending.note(1 << 20);
    assert.is(sending.look(false, false), LINGER_BYTES_CAME);
  }
  assert.is(sending.look(false, false), LINGER_WAITS, "it may send more");
  block(QUIET_MS);
  assert.is(sending.look(false, false), LINGER_OVER);
});

test("a peer that got a few bytes is read until it has sent what a kernel holds", () => {
  const discarding = new Discarding();
  discarding.begin(FEW);
  discarding.note(1_000);
  assert.is(discarding.look(false, false), LINGER_BYTES_CAME);
  discarding.note(5 << 20);
  assert.is(discarding.look(false, false), LINGER_OVER);
});

test("bytes that the runtime holds at the close make the peer one that is awaited", () => {
  const discarding = new Discarding();
  discarding.begin({ ...FEW, unsent: true });
  assert.is(discarding.look(true, false), LINGER_WAITS);
  assert.is(discarding.look(false, false), LINGER_WAITS);
});

test("FIN of the peer ends the wait, once the runtime has sent everything", () => {
  const discarding = new Discarding();
  discarding.begin(now());
  assert.is(discarding.look(true, true), LINGER_WAITS);
  assert.is(discarding.look(false, true), LINGER_OVER);
});

test.run();

import { LoopReference } from "../../../../src/net/call/loop_reference.ts";
import { TimingWheel } from "../../../../src/ring/timing_wheel.ts";
import { assert, Random, suite } from "../../../harness.ts";
import { ManualHost } from "../../../support/manual_host.ts";

/** A network that counts the references of its calls. */
function setUp() {
  const host = new ManualHost();
  const context = {
    host,
    wheel: new TimingWheel(host),
    now: 0,
    references: 0,
    addReference: () => void context.references++,
    removeReference: () => void context.references--,
  };
  return { context, reference: new LoopReference(context) };
}

const test = suite("LoopReference");

test("each pending call is one reference of the network", () => {
  const { context, reference } = setUp();
  reference.addCall();
  reference.addCall();
  assert.is(context.references, 2);
  reference.removeCall();
  assert.is(context.references, 1);
});

test("unref() removes the references of pending calls, and ref() adds them again", () => {
  const { context, reference } = setUp();
  for (let i = 0; i < 3; i++) reference.addCall();
  reference.unref();
  reference.unref();
  assert.is(context.references, 0);
  reference.removeCall();
  assert.is(context.references, 0);
  reference.ref();
  reference.ref();
  assert.is(context.references, 2);
});

test("no order of calls, ref() and unref() leaves a reference behind", () => {
  const random = new Random();
  const { context, reference } = setUp();
  let calls = 0;
  let isReferenced = true;
  for (let i = 0; i < 2_000; i++) {
    const step = random.pick(["add", "remove", "ref", "unref"]);
    if (step === "add") calls++, reference.addCall();
    if (step === "remove" && calls > 0) calls--, reference.removeCall();
    if (step === "ref") isReferenced = true, reference.ref();
    if (step === "unref") isReferenced = false, reference.unref();
    assert.is(context.references, isReferenced ? calls : 0);
  }
});

test.run();

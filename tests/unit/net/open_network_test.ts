import { ERRNO } from "../../../src/base/errno.ts";
import { NetworkError } from "../../../src/base/network_error.ts";
import { resolveConfig } from "../../../src/net/config.ts";
import { openNetwork } from "../../../src/net/open_network.ts";
import type { NativePort, RingOpenOptions, RingPort } from "../../../src/ring/port.ts";
import { assert, suite } from "../../harness.ts";
import { ManualHost } from "../../support/manual_host.ts";
import { PlainSlabSource } from "../../support/plain_slab_source.ts";
import { thrown } from "../../support/thrown.ts";

/** A library that opens rings, or answers with an errno, as `answer` says. */
class ScriptedNative extends PlainSlabSource implements NativePort {
  readonly opened: RingOpenOptions[] = [];
  closed = 0;
  answer: (attempt: number, options: RingOpenOptions) => number = () => 0;

  openRing(options: RingOpenOptions): RingPort | number {
    this.opened.push(options);
    const errno = this.answer(this.opened.length, options);
    if (errno > 0) return -errno;
    const ring = {
      opCapacity: 8,
      bufferCount: 8,
      ops: new Uint32Array(64),
      openBell: () => ({ ref() {}, unref() {}, close() {} }),
      close: () => ++this.closed,
    };
    return ring as unknown as RingPort;
  }

  system() {
    return { kernel: "6.12.0", disabled: "0", memlockBytes: 65_536 };
  }

  probe(): number {
    return 0;
  }
}

const open = (native: NativePort, config: Record<string, unknown> = {}) =>
  openNetwork(native, new ManualHost(), resolveConfig(config));

const test = suite("openNetwork");

test("one ring serves both directions by default, with room for many completions", () => {
  const native = new ScriptedNative();
  const context = open(native);
  assert.is(context.sendRing, context.recvRing);
  assert.not.ok(context.split);
  assert.is(native.opened.length, 1);
  const { entries, completionEntries, sqPoll, buffers } = native.opened[0];
  assert.equal([entries, completionEntries, sqPoll, buffers], [256, 2_048, false, true]);
});

test("the completion queue stays within what the kernel takes", () => {
  const native = new ScriptedNative();
  open(native, { ring: { entries: 32_768, sqPoll: true } });
  const { entries, completionEntries, sqPoll } = native.opened[0];
  assert.equal([entries, completionEntries, sqPoll], [32_768, 65_536, true]);
});

test("a ring for which there is no locked memory is halved and tried again", () => {
  const native = new ScriptedNative();
  native.answer = (_, { entries }) => entries > 32 ? ERRNO.ENOMEM : 0;
  open(native);
  assert.equal(native.opened.map(({ entries }) => entries), [256, 128, 64, 32]);
  assert.equal(native.opened.at(-1)?.completionEntries, 256);
});

test("when the smallest ring does not fit either, the error says which limit to raise", () => {
  const native = new ScriptedNative();
  native.answer = () => ERRNO.ENOMEM;
  const error = thrown(() => open(native), NetworkError, "Cannot start the network: ");
  assert.equal([error.code, error.operation, error.errno], ["Unsupported", "start", "ENOMEM"]);
  assert.match(error.message, "65536 bytes");
  assert.equal(native.opened.map(({ entries }) => entries), [256, 128, 64, 32, 16, 8]);
});

test("any other refusal is final at once", () => {
  for (const errno of [ERRNO.EPERM, ERRNO.ENOSYS, ERRNO.EINVAL, ERRNO.EMFILE]) {
    const native = new ScriptedNative();
    native.answer = () => errno;
    assert.is(thrown(() => open(native), NetworkError).code, "Unsupported");
    assert.is(native.opened.length, 1);
  }
});

test("the split topology opens a ring for each direction, read buffers on one of them", () => {
  const native = new ScriptedNative();
  const context = open(native, { ring: { topology: "split" } });
  assert.ok(context.split);
  assert.is.not(context.sendRing, context.recvRing);
  assert.equal(native.opened.map(({ buffers }) => buffers), [true, false]);
});

test("when the second ring cannot be opened, the first one is closed", () => {
  const native = new ScriptedNative();
  native.answer = (attempt) => attempt === 1 ? 0 : ERRNO.EMFILE;
  thrown(() => open(native, { ring: { topology: "split" } }), NetworkError, "ulimit -n");
  assert.is(native.closed, 1);
});

test("ioPoll is refused before anything is opened, with the reason", () => {
  const native = new ScriptedNative();
  const error = thrown(() => open(native, { ring: { ioPoll: true } }), NetworkError, "ioPoll");
  assert.is(error.code, "Unsupported");
  assert.is(native.opened.length, 0);
});

test.run();

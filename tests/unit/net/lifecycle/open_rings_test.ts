import { ERRNO } from "../../../../src/base/errno.ts";
import { LIMITS } from "../../../../src/base/limits.ts";
import { NetworkError } from "../../../../src/base/network_error.ts";
import { resolveConfig } from "../../../../src/net/config/config.ts";
import { openRings } from "../../../../src/net/lifecycle/open_rings.ts";
import type { NativePort, RingOpenOptions, RingPort } from "../../../../src/ring/port.ts";
import { assert, rejects, suite } from "../../../harness.ts";
import { ManualHost } from "../../../support/manual_host.ts";
import { PlainSlabSource } from "../../../support/plain_slab_source.ts";

/** A library that opens rings, or refuses them with the errno of `answer`. */
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
      openDoorbell: () => ({ opened: Promise.resolve(), ref() {}, unref() {}, close() {} }),
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

async function open(native: NativePort, config: Record<string, unknown> = {}) {
  const host = new ManualHost();
  const rings = await openRings(native, host, resolveConfig(config));
  return { ...rings, pauses: host.pauses };
}

const sizes = (native: ScriptedNative) => native.opened.map(({ entries }) => entries);

const test = suite("openRings");

test("one ring serves both directions by default, with room for many completions", async () => {
  const native = new ScriptedNative();
  assert.is((await open(native)).sendPort, null);
  assert.is(native.opened.length, 1);
  const { entries, completionEntries, sqPoll, buffers } = native.opened[0];
  assert.equal([entries, completionEntries, sqPoll, buffers], [256, 2_048, false, true]);
});

test("the completion queue stays within the kernel's limit", async () => {
  const native = new ScriptedNative();
  await open(native, { ring: { entries: 32_768, sqPoll: true } });
  const { entries, completionEntries, sqPoll } = native.opened[0];
  assert.equal([entries, completionEntries, sqPoll], [32_768, 65_536, true]);
});

test("a ring that does not fit the locked memory is halved and tried again later", async () => {
  const native = new ScriptedNative();
  native.answer = (_, { entries }) => entries > 32 ? ERRNO.ENOMEM : 0;
  const { pauses } = await open(native);
  assert.equal(sizes(native), [256, 128, 64, 32]);
  assert.is(native.opened.at(-1)?.completionEntries, 256);
  assert.equal(pauses, Array(3).fill(LIMITS.lockedMemoryPauseMs));
});

test("the smallest ring is tried until the kernel has had time to give memory back", async () => {
  const native = new ScriptedNative();
  native.answer = (attempt) => attempt < 3 + LIMITS.smallestRingTryCountMax - 1 ? ERRNO.ENOMEM : 0;
  await open(native, { ring: { entries: 32 } });
  assert.equal(sizes(native), [32, 16, ...Array(LIMITS.smallestRingTryCountMax).fill(8)]);
});

test("when the smallest ring does not fit either, the error names the limit to raise", async () => {
  for (const [entries, halved] of [[8, []], [256, [256, 128, 64, 32, 16]]] as const) {
    const native = new ScriptedNative();
    native.answer = () => ERRNO.ENOMEM;
    const error = await rejects(() => open(native, { ring: { entries } }), NetworkError);
    assert.equal([error.code, error.operation, error.errno], ["Unsupported", "start", "ENOMEM"]);
    assert.match(error.message, /^Cannot start the network: .*65536 bytes/);
    assert.equal(sizes(native), [...halved, ...Array(LIMITS.smallestRingTryCountMax).fill(8)]);
  }
});

test("any other refusal is final at once", async () => {
  for (const errno of [ERRNO.EPERM, ERRNO.ENOSYS, ERRNO.EINVAL, ERRNO.EMFILE]) {
    const native = new ScriptedNative();
    native.answer = () => errno;
    await rejects(() => open(native), { code: "Unsupported" });
    assert.is(native.opened.length, 1);
  }
});

test("the split topology opens a ring each way, read buffers on one of them", async () => {
  const native = new ScriptedNative();
  const { recvPort, sendPort } = await open(native, { ring: { topology: "split" } });
  assert.ok(sendPort !== null && sendPort !== recvPort);
  assert.equal(native.opened.map(({ buffers }) => buffers), [true, false]);
});

test("when the second ring cannot be opened, the first one is closed", async () => {
  const native = new ScriptedNative();
  native.answer = (attempt) => attempt === 1 ? 0 : ERRNO.EMFILE;
  await rejects(() => open(native, { ring: { topology: "split" } }), /ulimit -n/);
  assert.is(native.closed, 1);
});

test("both rings are halved when only one of them fits the locked memory", async () => {
  const native = new ScriptedNative();
  native.answer = (_, { buffers, entries }) => !buffers && entries > 64 ? ERRNO.ENOMEM : 0;
  await open(native, { ring: { topology: "split" } });
  assert.equal(sizes(native), [256, 256, 128, 128, 64, 64]);
  assert.is(native.closed, 2);
});

test.run();

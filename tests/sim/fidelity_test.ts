/**
 * The fake kernel against the real one: the same records, the same answers. The core's receiving
 * half relies on the behaviour that is tested here. A simulator that hides difficulties of the
 * kernel proves nothing.
 *
 * @module
 */
import { bunRuntime } from "../../ffi/bun.ts";
import { denoRuntime } from "../../ffi/deno.ts";
import { openNative } from "../../ffi/native.ts";
import { errnoName } from "../../src/base/errno.ts";
import type { SlabMemory } from "../../src/buf/slab.ts";
import { AF_INET, writeSockaddr } from "../../src/net/address/sockaddr.ts";
import { OpWriter } from "../../src/ring/op_writer.ts";
import {
  CQE_BUFFER,
  CQE_MORE,
  CQE_SOCKET_NONEMPTY,
  HEADER,
  type NativePort,
  OP_FLAG_GATHER,
  OP_FLAG_POLL_FIRST,
  type RingPort,
  SOCKET_OPTION,
  TURN_SUBMIT,
} from "../../src/ring/port.ts";
import { assert, Random, suite } from "../harness.ts";
import { FakeHost } from "../support/fake_host.ts";
import { FakeKernel } from "../support/fake_kernel.ts";
import { FakeNative } from "../support/fake_native.ts";
import { Faults } from "../support/faults.ts";
import { libc } from "../support/libc.ts";

const test = suite("sim/fidelity");

const BUFFER_BYTES = 1_024;
const QUIET_TURNS = 4;
/** include/linux/socket.h */
const MSG_OOB = 1;
const SINGLE = 0;
const MULTISHOT = 1;

/** Where the slab has room: buffers of the two groups first. */
const SEND_AT = 1 << 19;
const RECV_AT = SEND_AT + (1 << 17);

/** A ring with a writer: records in, completions out as text. */
class Hand {
  readonly port: RingPort;
  readonly writer: OpWriter;
  readonly results = new Map<number, number>();
  readonly log: string[] = [];
  readonly #pass: () => Promise<void>;

  constructor(native: NativePort, pass: () => Promise<void>) {
    const options = { entries: 64, completionEntries: 512, sqPoll: false, buffers: true };
    const port = native.openRing(options);
    if (typeof port === "number") throw new Error(`no ring: ${errnoName(-port)}`);
    this.port = port;
    this.writer = new OpWriter(port.ops, port.opCapacity);
    this.#pass = pass;
  }

  /** Takes turns until nothing comes any more. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURNS;) {
      const count = this.port.turn(this.writer.count, 0);
      this.writer.clear();
      for (let at = 0; at < count * 4; at += 4) this.#note(at);
      quiet = count === 0 && this.port.header[HEADER.more] === 0 ? quiet + 1 : 0;
      await this.#pass();
    }
  }

  #note(at: number): void {
    const [slot, , result, flags] = this.port.completions.subarray(at, at + 4);
    this.results.set(slot, result);
    const words = [`${slot}:`, result < 0 ? errnoName(-result) : result];
    if (flags & CQE_BUFFER) words.push("buffer");
    if (flags & CQE_MORE) words.push("more");
    if (flags & CQE_SOCKET_NONEMPTY) words.push("nonempty");
    this.log.push(words.join(" "));
  }
}

/** A connection between two rings; all is told of the receiving end. */
class World {
  readonly #near: Hand;
  readonly #far: Hand;
  readonly #slab: SlabMemory;
  readonly #pass: () => Promise<void>;
  readonly #sendUrgent: (fd: number) => void;
  #fd = -1;
  #farFd = -1;
  #buffer = 0;

  constructor(
    native: NativePort,
    pass: () => Promise<void>,
    sendUrgent: (fd: number) => void,
  ) {
    this.#sendUrgent = sendUrgent;
    this.#slab = native.mapSlab(1 << 20) as SlabMemory;
    this.#near = new Hand(native, pass);
    this.#far = new Hand(native, pass);
    this.#pass = pass;
  }

  get log(): string[] {
    return this.#near.log;
  }

  async connect(): Promise<void> {
    const { port, writer, results } = this.#near;
    const address = { hostname: "127.0.0.1", port: 0 };
    const listener = port.socket(AF_INET);
    port.bind(listener, 0, writeSockaddr(port.blocks, address).length);
    port.listen(listener, 8);
    const length = port.address(listener, 0, 0);
    this.#fd = port.socket(AF_INET);
    writer.address(0, 0);
    writer.connect(this.#fd, 0, length);
    writer.address(1, 0);
    writer.accept(listener, 1);
    await this.#near.settle();
    this.#farFd = results.get(1) as number;
    assert.is(results.get(0), 0);
    port.closeDescriptor(listener);
    this.log.length = 0;
  }

  // ---- the far end: nothing of it is told -----------------------------------------------------

  async arrives(length: number): Promise<void> {
    this.#far.writer.address(0, 0);
    this.#far.writer.send(this.#farFd, this.#slab.id, SEND_AT, length);
    await this.#far.settle();
  }

  /** One urgent byte, which no receive shows. */
  async urgent(): Promise<void> {
    this.#sendUrgent(this.#farFd);
    await this.#pass();
  }

  async fin(): Promise<void> {
    this.#far.port.shutdown(this.#farFd, 1);
    await this.#pass();
  }

  async rst(): Promise<void> {
    this.#far.port.setOption(this.#farFd, SOCKET_OPTION.lingerSeconds, 0);
    this.#far.port.closeDescriptor(this.#farFd);
    this.#farFd = -1;
    await this.#pass();
  }

  // ---- this end --------------------------------------------------------------------------------

  give(group: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const id = this.#buffer++;
      this.#near.writer.provide(group, id, this.#slab.id, id * BUFFER_BYTES, BUFFER_BYTES);
    }
  }

  single(slot: number, flags: number): Promise<void> {
    this.#near.writer.address(slot, 0);
    this.#near.writer.recvSelect(this.#fd, 0, BUFFER_BYTES, flags);
    return this.turn();
  }

  multishot(slot: number, flags: number): Promise<void> {
    this.#near.writer.address(slot, 0);
    this.#near.writer.recvMultishot(this.#fd, flags);
    return this.turn();
  }

  direct(slot: number, length: number): Promise<void> {
    this.#near.writer.address(slot, 0);
    this.#near.writer.recv(this.#fd, this.#slab.id, RECV_AT, length, 0);
    return this.turn();
  }

  send(slot: number, length: number): Promise<void> {
    this.#near.writer.address(slot, 0);
    this.#near.writer.send(this.#fd, this.#slab.id, SEND_AT, length);
    return this.turn();
  }

  /** A send in a turn that only submits, and what the far end has before the next turn. */
  async submit(slot: number, length: number): Promise<void> {
    const { port, writer } = this.#near;
    writer.address(slot, 0);
    writer.send(this.#fd, this.#slab.id, SEND_AT, length);
    const count = port.turn(writer.count, TURN_SUBMIT);
    writer.clear();
    this.log.push(`completions: ${count}`);
    const far = this.#far;
    far.writer.address(1, 0);
    far.writer.recv(this.#farFd, this.#slab.id, RECV_AT, length, 0);
    await far.settle();
    this.log.push(`the far end received ${far.results.get(1)}`);
  }

  cancel(slot: number): Promise<void> {
    this.#near.writer.cancel(slot, 0, 0);
    return this.turn();
  }

  shut(how: 0 | 1 | 2): void {
    this.#near.port.shutdown(this.#fd, how);
  }

  /** Whether each end has an address. */
  askAddresses(): void {
    for (const end of [0, 1] as const) {
      const length = this.#near.port.address(this.#fd, end, 0);
      this.log.push(`address ${end}: ${length < 0 ? errnoName(-length) : length}`);
    }
  }

  /** Whether the end of the stream was FIN, or something else. */
  askCutOff(): void {
    this.log.push(`cut off: ${this.#near.port.cutOff(this.#fd)}`);
  }

  async turn(): Promise<void> {
    await this.#near.settle();
    this.log.push("-");
  }

  async close(slots: number): Promise<void> {
    for (let slot = 0; slot < slots; slot++) this.#near.writer.cancel(slot, 0, 0);
    await this.#near.settle();
    this.#near.port.closeDescriptor(this.#fd);
    if (this.#farFd >= 0) this.#far.port.closeDescriptor(this.#farFd);
    this.#near.port.close();
    this.#far.port.close();
  }
}

const SLOT_COUNT = 8;

async function playReal(body: (world: World) => Promise<void>): Promise<string[]> {
  const native = openNative("Bun" in globalThis ? bunRuntime : denoRuntime);
  const pass = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
  const world = new World(native, pass, (fd) => {
    assert.is(Number(libc.send(fd, new Uint8Array(1), 1n, MSG_OOB)), 1);
  });
  await world.connect();
  await body(world);
  const log = world.log.slice();
  await world.close(SLOT_COUNT);
  return log;
}

async function playFake(body: (world: World) => Promise<void>): Promise<string[]> {
  const faults = new Faults(new Random(1));
  // Sent bytes arrive in one piece, as on the loopback device.
  faults.int = (_min, max) => max;
  const kernel = new FakeKernel(new FakeHost(), faults);
  const world = new World(new FakeNative(kernel), () => {
    while (kernel.host.waiting > 0) kernel.host.takeNext()();
    return Promise.resolve();
  }, () => {});
  await world.connect();
  await body(world);
  const log = world.log.slice();
  await world.close(SLOT_COUNT);
  kernel.memory.close();
  assert.equal(kernel.violations, []);
  return log;
}

const WAIT = OP_FLAG_POLL_FIRST;
const GATHER = OP_FLAG_POLL_FIRST | OP_FLAG_GATHER;

const SCRIPTS: Readonly<Record<string, (world: World) => Promise<void>>> = {
  "without a buffer a receive ends at once, whatever the socket has": async (world) => {
    await world.single(1, 0);
    await world.multishot(2, 0);
    await world.arrives(10);
    await world.single(3, 0);
    await world.multishot(4, 0);
  },
  "a receive that waits first needs its buffer only when bytes come": async (world) => {
    await world.single(1, WAIT);
    await world.arrives(10);
    await world.turn();
    await world.single(2, 0);
    world.give(SINGLE, 1);
    await world.single(3, WAIT);
    await world.multishot(4, WAIT);
    world.give(MULTISHOT, 1);
    await world.turn();
    await world.arrives(10);
    await world.turn();
    await world.arrives(10);
    await world.turn();
  },
  "a multishot receive fills the buffers that are there, and ends for want of more": async (
    world,
  ) => {
    world.give(MULTISHOT, 2);
    await world.multishot(1, WAIT);
    await world.arrives(3_000);
    await world.turn();
  },
  "a multishot receive that used its last buffer lives on until bytes come": async (world) => {
    world.give(MULTISHOT, 2);
    await world.multishot(1, WAIT);
    await world.arrives(2_048);
    await world.turn();
    await world.turn();
    await world.arrives(10);
    await world.turn();
  },
  "a multishot receive tells of bytes and FIN that came together": async (world) => {
    world.give(MULTISHOT, 4);
    await world.multishot(1, WAIT);
    await world.arrives(1_500);
    await world.fin();
    await world.turn();
  },
  "a turn that only submits performs the send, and leaves all completions to the next": async (
    world,
  ) => {
    world.give(MULTISHOT, 2);
    await world.multishot(1, WAIT);
    await world.arrives(10);
    await world.submit(2, 20);
    await world.turn();
  },
  "a receive that gathers waits for its turn, and takes what has come": async (world) => {
    world.give(SINGLE, 3);
    await world.single(1, GATHER);
    await world.arrives(10);
    await world.turn();
    await world.arrives(20);
    await world.single(2, GATHER);
    await world.arrives(30);
    await world.fin();
    await world.single(3, GATHER);
  },
  "FIN is not told without a buffer": async (world) => {
    world.give(MULTISHOT, 1);
    await world.multishot(1, WAIT);
    await world.arrives(100);
    await world.fin();
    await world.turn();
    await world.multishot(2, 0);
    world.give(SINGLE, 1);
    await world.single(3, 0);
    await world.single(4, 0);
  },
  "RST is not told without a buffer, and once with one": async (world) => {
    await world.multishot(1, WAIT);
    await world.rst();
    await world.turn();
    world.give(MULTISHOT, 1);
    await world.multishot(2, 0);
    await world.multishot(3, 0);
  },
  "bytes before RST are told first": async (world) => {
    world.give(MULTISHOT, 4);
    await world.multishot(1, WAIT);
    await world.arrives(100);
    await world.rst();
    await world.turn();
  },
  "RST behind FIN shows as the end to a receive, as EPIPE to a send": async (world) => {
    world.give(MULTISHOT, 4);
    await world.arrives(100);
    await world.fin();
    await world.rst();
    await world.multishot(1, WAIT);
    await world.send(2, 10);
    await world.multishot(3, 0);
  },
  "RST is told to a send once, and then shows as the end to a receive": async (world) => {
    world.give(MULTISHOT, 1);
    await world.rst();
    await world.send(1, 10);
    await world.multishot(2, 0);
    world.askCutOff();
    await world.send(3, 10);
  },
  "RST that a send took is told from FIN, also behind an urgent byte": async (world) => {
    world.give(MULTISHOT, 4);
    await world.arrives(100);
    await world.multishot(1, WAIT);
    await world.urgent();
    await world.turn();
    world.askCutOff();
    await world.rst();
    await world.send(2, 10);
    await world.multishot(3, 0);
    world.askCutOff();
  },
  "FIN stays FIN, behind an urgent byte and before RST": async (world) => {
    world.give(MULTISHOT, 4);
    await world.urgent();
    await world.fin();
    await world.multishot(1, WAIT);
    world.askCutOff();
    await world.rst();
    await world.send(2, 10);
    world.askCutOff();
  },
  "a connection has two addresses until RST comes, and then one": async (world) => {
    world.askAddresses();
    await world.fin();
    world.askAddresses();
    await world.rst();
    world.askAddresses();
  },
  "FIN of both is an end": async (world) => {
    world.give(MULTISHOT, 4);
    world.shut(1);
    await world.urgent();
    await world.fin();
    await world.multishot(1, WAIT);
    world.askCutOff();
  },
  "a cancel that comes before the turn wins, and the bytes stay": async (world) => {
    world.give(MULTISHOT, 4);
    await world.multishot(1, WAIT);
    await world.arrives(100);
    await world.cancel(1);
    await world.multishot(2, 0);
    await world.cancel(2);
    await world.cancel(2);
  },
  "a cancelled receive of each kind ends with ECANCELED": async (world) => {
    await world.single(1, WAIT);
    await world.cancel(1);
    await world.multishot(2, WAIT);
    await world.cancel(2);
    await world.direct(3, 100);
    await world.cancel(3);
  },
  "bytes that are there are told after shutdown, and then the end": async (world) => {
    world.give(MULTISHOT, 4);
    await world.multishot(1, WAIT);
    await world.arrives(1_000);
    world.shut(2);
    await world.turn();
  },
  "shutdown of the receiving half ends a multishot receive": async (world) => {
    world.give(MULTISHOT, 4);
    await world.multishot(1, WAIT);
    world.shut(0);
    await world.turn();
    await world.send(2, 10);
  },
  "a cancel behind shutdown finds the multishot receive": async (world) => {
    world.give(MULTISHOT, 4);
    await world.multishot(1, WAIT);
    await world.arrives(1_000);
    world.shut(2);
    await world.cancel(1);
  },
  "a receive into memory of its own takes no more than it asks for": async (world) => {
    await world.direct(1, 100);
    await world.arrives(250);
    await world.turn();
    await world.direct(2, 100);
    await world.fin();
    await world.direct(3, 100);
    await world.direct(4, 100);
  },
};

for (const [name, script] of Object.entries(SCRIPTS)) {
  test(`${name}: both kernels agree`, async () => {
    const real = await playReal(script);
    assert.ok(real.length > 0);
    assert.equal(await playFake(script), real);
  });
}

test.run();

/**
 * A world in which everything happens in an order that a seed decides: fake kernel, fake clock, and
 * the runtime's event loop, played by `run`.
 *
 *   microtasks until none is left -> check -> one of: macrotask, doorbell, timer, kernel event -+
 *     ^-----------------------------------------------------------------------------------------+
 *
 * @module
 */
import { replaceQueueMicrotask } from "../../src/base/queue_microtask.ts";
import * as timers from "node:timers";
import type { Host, HostTimer } from "../../src/base/host.ts";
import { COUNT } from "../../src/base/meter.ts";
import { sizeClassFor } from "../../src/buf/buffer_pool.ts";
import type { SizeClass } from "../../src/buf/size_class.ts";
import type { ProvidedBuffers } from "../../src/ring/provided_buffers.ts";
import { NetworkCore } from "../../src/net/lifecycle/network_core.ts";
import type { NetworkContext } from "../../src/net/socket/network_context.ts";
import { openNetwork } from "../../src/net/lifecycle/open_network.ts";
import { type OpenRings, openRings, tryRings } from "../../src/net/lifecycle/open_rings.ts";
import {
  type NetworkConfig,
  resolveConfig,
  type ResolvedConfig,
} from "../../src/net/config/config.ts";
import { Random } from "../harness.ts";
import { listenerCount } from "./counted_signal.ts";
import { FakeHost } from "./fake_host.ts";
import { FakeKernel, type KernelOptions } from "./fake_kernel.ts";
import { FakeNative } from "./fake_native.ts";
import type { FakeRing, FakeRingSizes } from "./fake_ring.ts";
import { type FaultRates, Faults } from "./faults.ts";

/**
 * Steps without progress of a byte or a connection. A chain of turns over a stale flag takes 50 of
 * them in a millisecond, and a close may wait for 5 s.
 */
const IDLE_STEP_COUNT_MAX = 600_000;
/** A scenario that takes longer than this on the fake clock hangs. */
const FAKE_MS_MAX = 30 * 60_000;
/** The longest time of one macrotask on the fake clock, where a test names no other. */
const STEP_MS_MAX = 0.04;

export interface SimOptions {
  seed?: number;
  faults?: Partial<FaultRates>;
  kernel?: KernelOptions;
  sizes?: Partial<FakeRingSizes>;
  /** The longest time of one macrotask, in milliseconds. */
  stepMsMax?: number;
}

/** A network on the fake kernel. */
export class SimNetwork extends NetworkCore {
  readonly context: NetworkContext;
  /** Calls that keep the process alive. */
  holds = 0;
  readonly host: NetworkHost;

  constructor(context: NetworkContext, host: NetworkHost) {
    super(context, "io_uring", () => {});
    this.context = context;
    this.host = host;
  }
}

/** The host of one network, which counts the pauses in which the runtime lets the process end. */
class NetworkHost implements Host {
  readonly #host: FakeHost;
  /** Pauses that have begun, and those that last. */
  gapCount = 0;
  openGapCount = 0;

  constructor(host: FakeHost) {
    this.#host = host;
  }

  now(): number {
    return this.#host.now();
  }

  /** Only the pump sets timers of 0 ms, until the network is closed. */
  setTimer(callback: () => void, delayMs: number): HostTimer {
    if (delayMs > 0) return this.#host.setTimer(callback, delayMs);
    this.gapCount++;
    this.openGapCount++;
    let open = true;
    const close = () => {
      if (open) this.openGapCount--;
      open = false;
    };
    const timer = this.#host.setTimer(() => {
      close();
      callback();
    }, delayMs);
    return {
      cancel: () => {
        close();
        timer.cancel();
      },
    };
  }

  pause(delayMs: number): Promise<void> {
    return this.#host.pause(delayMs);
  }

  setMacrotask(callback: () => void): void {
    this.#host.setMacrotask(callback);
  }

  resolve(name: string): Promise<readonly { address: string; family: 4 | 6 }[]> {
    return this.#host.resolve(name);
  }

  get processId(): number {
    return this.#host.processId;
  }

  warn(line: string): void {
    this.#host.warn(line);
  }

  environment(name: string): string | undefined {
    return this.#host.environment(name);
  }
}

export class Sim {
  readonly random: Random;
  readonly host = new FakeHost();
  readonly faults: Faults;
  readonly kernel: FakeKernel;
  readonly native: FakeNative;
  readonly networks: SimNetwork[] = [];
  /** Called between steps, while nothing runs. */
  onStep: () => void = () => {};
  stepCount = 0;
  /** The most steps in a row in which nothing moved so far, and the number that is a hang. */
  idleStepCountMax = 0;
  idleStepLimit = IDLE_STEP_COUNT_MAX;
  /** Signals that were given to calls. */
  readonly #signals: AbortSignal[] = [];
  readonly #stepMsMax: number;
  readonly #failures: unknown[] = [];
  #changesSeen = -1;
  #moveCount = 0;
  #movedAtStep = 0;

  constructor(options: SimOptions = {}) {
    this.random = new Random(options.seed ?? 1);
    this.faults = new Faults(this.random.fork(), options.faults);
    this.kernel = new FakeKernel(this.host, this.faults, options.kernel);
    this.native = new FakeNative(this.kernel, options.sizes);
    this.#stepMsMax = options.stepMsMax ?? STEP_MS_MAX;
  }

  /** Opens a network; `pool.debug` is on unless the configuration says otherwise. */
  open(config: NetworkConfig = {}): SimNetwork {
    const resolved = this.#resolve(config);
    return this.#wire(
      resolved,
      tryRings(this.native, resolved, resolved.ring.entries) as OpenRings,
    );
  }

  /** Like `open`, with the pauses of `Network.start()`. */
  async start(config: NetworkConfig = {}): Promise<SimNetwork> {
    const resolved = this.#resolve(config);
    return this.#wire(resolved, await openRings(this.native, this.host, resolved));
  }

  #resolve(config: NetworkConfig): ResolvedConfig {
    const pool = config.pool ?? { debug: true, maxPerClass: 64 };
    return resolveConfig({ ...config, pool });
  }

  #wire(resolved: ResolvedConfig, rings: OpenRings): SimNetwork {
    this.native.scarce = false;
    const host = new NetworkHost(this.host);
    const network = new SimNetwork(openNetwork(this.native, host, resolved, rings), host);
    this.native.scarce = true;
    this.networks.push(network);
    this.#countHolds(network);
    return network;
  }

  /** A signal that must have no listener of the network at the end. */
  watchSignal(signal: AbortSignal): AbortSignal {
    this.#signals.push(signal);
    return signal;
  }

  /** Calls that keep the process alive: none is left over. */
  #countHolds(network: SimNetwork): void {
    const { pump } = network.context.recvRing;
    const { addReference, removeReference } = pump;
    pump.addReference = () => {
      network.holds++;
      addReference.call(pump);
    };
    pump.removeReference = () => {
      network.holds--;
      removeReference.call(pump);
    };
  }

  sleep(delayMs: number): Promise<void> {
    return this.host.sleep(delayMs);
  }

  /** Runs the event loop until `body` is done and no event is left. */
  async run<T>(body: () => Promise<T>): Promise<T> {
    const restore = this.#catchMicrotasks();
    let outcome: { value: T } | { error: unknown } | null = null;
    try {
      body().then((value) => outcome = { value }, (error) => outcome = { error });
      while (await this.#step()) {
        // After a failure the world need not end in order.
        if (outcome !== null && "error" in outcome) break;
      }
      if (outcome === null) throw new Error(`the scenario hangs: ${this.describe()}`);
    } finally {
      restore();
      this.kernel.memory.close();
    }
    const ended = outcome as { value: T } | { error: unknown };
    if ("error" in ended) throw ended.error;
    return ended.value;
  }

  /** The pending work, for messages. */
  describe(): string {
    const rings = this.native.rings.map((ring, at) => `ring ${at}: ${ring.describe()}`);
    const flying = this.networks.map(({ context }) =>
      `${context.recvRing.inFlight}+${context.sendRing.inFlight} in flight`
    );
    return [`${this.stepCount} steps`, ...rings, ...flying].join("; ");
  }

  /** Checks the invariants between any two steps. */
  check(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
    if (this.kernel.violations.length > 0) throw this.kernel.violations[0];
    for (const { context, holds, host } of this.networks) {
      if (holds === 0 || !context.accepting || host.openGapCount === 0) continue;
      throw new Error("a call is pending, and a pump waits for a timer that lets the process end");
    }
    const rings = new Set(
      this.networks.flatMap(({ context }) => [context.recvRing, context.sendRing]),
    );
    for (const ring of rings) {
      const port = ring.port as FakeRing;
      const { inFlight: flying } = ring;
      if (!port.closed && flying !== port.inFlightCount) {
        throw new Error(`${flying} operations fly, the kernel has ${port.describe()}`);
      }
      if (ring.reads === null) continue;
      const { single, multishot: watch, bulk } = ring.reads;
      for (const buffers of [single, watch, bulk]) this.#checkBuffers(buffers, port);
    }
    this.#checkSlots();
  }

  /** The core and the kernel agree on the buffers of a group. */
  #checkBuffers(buffers: ProvidedBuffers | null, port: FakeRing): void {
    if (buffers === null || port.closed) return;
    const { group, provided, wanted } = buffers;
    if (provided !== port.provided(group)) {
      const text = `group ${group}: the core says ${provided} buffers are with the kernel`;
      throw new Error(`${text}, which has ${port.provided(group)}`);
    }
    if (wanted < port.selecting(group)) {
      const text = `${port.selecting(group)} receives choose from group ${group}`;
      throw new Error(`${text}, ${wanted} are known`);
    }
  }

  /** Each class counts its slots in use, and a slot that the kernel may fill has no other user. */
  #checkSlots(): void {
    const { live, changes } = this.kernel.memory;
    if (changes === this.#changesSeen) return;
    this.#changesSeen = changes;
    const counts = new Map<SizeClass, number>();
    const references = new Map<number, number>();
    for (const slot of live) {
      const home = slot.home as SizeClass;
      counts.set(home, (counts.get(home) ?? 0) + 1);
      references.set(placeOf(slot), slot.references);
      if (slot.references < 1) throw new Error("a slot in somebody's hands has no reference");
    }
    for (const [{ allocated, sizeBytes }, count] of counts) {
      if (allocated === count) continue;
      throw new Error(`class ${sizeBytes} says ${allocated} are allocated, ${count} are`);
    }
    for (const { pool } of this.networks) {
      for (const { sizeBytes, allocated } of pool.stats().classes) {
        const sizeClass = sizeClassFor(pool, sizeBytes) as SizeClass;
        if (allocated !== (counts.get(sizeClass) ?? 0)) {
          throw new Error(`class ${sizeBytes} says ${allocated} are allocated`);
        }
      }
    }
    for (const ring of this.native.rings) {
      for (const region of ring.providedRegions()) {
        const count = references.get(placeOf(region)) ?? 0;
        if (count !== 1) throw new Error(`${region.owner} has ${count} owners`);
      }
    }
  }

  /** Checks that no timer is left as soon as all networks are closed. */
  checkNoTimers(): void {
    const { size } = this.host.timers;
    if (size > 0) throw new Error(`${size} timers are left over`);
  }

  /** Checks that nothing is left when all networks are closed and the test holds no buffer. */
  checkNothingLeft(): void {
    this.check();
    const leaks: string[] = [];
    for (const { context, pool, holds } of this.networks) {
      if (holds !== 0) leaks.push(`${holds} calls keep the process alive`);
      for (const { sizeBytes, allocated } of pool.stats().classes) {
        if (allocated !== 0) leaks.push(`${allocated} slots of ${sizeBytes} bytes`);
      }
      if (pool.stats().leaked !== 0) leaks.push(`${pool.stats().leaked} buffers leaked`);
      for (const ring of new Set([context.recvRing, context.sendRing])) {
        if (ring.blocks.used !== 0) leaks.push(`${ring.blocks.used} blocks`);
        if (ring.inFlight !== 0) leaks.push(`${ring.inFlight} operations`);
        const wanted = ring.reads?.wanted ?? 0;
        if (wanted !== 0) leaks.push(`${wanted} receives want a buffer`);
        if (ring.sendLane.pending + ring.recvLane.pending !== 0) leaks.push("lanes not empty");
      }
      if (context.open.size + context.dials.size !== 0) leaks.push("something is open");
      if (context.wheel.count !== 0) leaks.push(`${context.wheel.count} deadlines`);
      const connections = context.meter.counts[COUNT.connections];
      if (connections !== 0) leaks.push(`the gauge of connections says ${connections}`);
    }
    const listeners = this.#signals.reduce((sum, signal) => sum + listenerCount(signal), 0);
    if (listeners !== 0) leaks.push(`${listeners} listeners on signals`);
    const { memory, sockets } = this.kernel;
    if (memory.live.size !== 0) leaks.push(`${memory.live.size} slots of any class`);
    if (memory.regionCount !== 0) leaks.push(`${memory.regionCount} regions with the kernel`);
    if (sockets.size !== 0) leaks.push(`descriptors ${[...sockets.keys()].join()}`);
    for (const ring of this.native.rings) {
      if (!ring.closed) leaks.push("a ring is open");
      if (!ring.doorbellClosed) leaks.push("a doorbell is open");
    }
    if (leaks.length > 0) throw new Error(`left over: ${leaks.join("; ")}`);
  }

  /** Runs one event. Returns false when none is left. */
  async #step(): Promise<boolean> {
    await quiet();
    this.check();
    this.onStep();
    this.stepCount++;
    this.#watchMoves();
    if (this.idleStepCountMax > this.idleStepLimit || this.host.clockMs > FAKE_MS_MAX) {
      throw new Error(`the scenario does not end: ${this.describe()}`);
    }
    const next = this.#choose();
    if (next === null) return false;
    this.#guard(next);
    return true;
  }

  #watchMoves(): void {
    const { moveCount } = this.kernel;
    if (moveCount !== this.#moveCount) {
      this.#moveCount = moveCount;
      this.#movedAtStep = this.stepCount;
    }
    const idle = this.stepCount - this.#movedAtStep;
    if (idle > this.idleStepCountMax) this.idleStepCountMax = idle;
  }

  #choose(): (() => void) | null {
    const { host, random, faults } = this;
    const told = this.native.rings.filter((ring) => ring.told);
    const due = host.nextMs <= host.clockMs;
    const choices: (() => void)[] = [];
    if (host.macrotasks.length > 0) {
      choices.push(() => {
        host.clockMs += random.float() * this.#stepMsMax;
        (host.macrotasks.shift() as () => void)();
      });
    }
    if (told.length > 0) choices.push(() => random.pick(told).hear());
    if (due || (choices.length === 0 && host.waiting > 0)) choices.push(() => host.takeNext()());
    if (choices.length === 0) return null;
    if (faults.strikes("spuriousDoorbell")) return () => random.pick(this.native.rings).disturb();
    return random.pick(choices);
  }

  #guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#failures.push(error);
    }
  }

  /** An error in a microtask would end the test runner. */
  #catchMicrotasks(): () => void {
    const original = replaceQueueMicrotask((task) => original(() => this.#guard(task)));
    return () => void replaceQueueMicrotask(original);
  }
}

/** A number for each place in memory: slabs are smaller than this. */
const SLAB_BYTES_MAX = 2 ** 28;

function placeOf({ slab, offset }: { slab: number; offset: number }): number {
  return slab * SLAB_BYTES_MAX + offset;
}

// deno-lint-ignore no-explicit-any
const { setImmediate } = timers as any as { setImmediate(callback: () => void): void };

/** A macrotask of the real runtime: before it, every microtask has run. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

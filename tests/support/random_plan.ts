/**
 * The plan of one seed: the configuration of the network, the actions of the callers, the faults.
 *
 * @module
 */
import type { NetworkConfig } from "../../src/net/config/config.ts";
import type { Random } from "../harness.ts";
import type { KernelOptions } from "./fake_kernel.ts";
import type { FakeRingSizes } from "./fake_ring.ts";
import { type FaultKind, type FaultRates, HARD_KINDS, SOFT_KINDS, USUAL_RATES } from "./faults.ts";

/** Calls that the program ends early. */
export interface Disruptions {
  sendTimeouts: boolean;
  sendAborts: boolean;
  recvTimeouts: boolean;
  recvAborts: boolean;
  /** Whether one side closes or resets before all calls have settled. */
  closes: boolean;
  resets: boolean;
  networkClose: boolean;
}

export interface Plan {
  config: NetworkConfig;
  kernel: KernelOptions;
  sizes: Partial<FakeRingSizes>;
  faults: Partial<FaultRates>;
  disruptions: Disruptions;
  connectionCount: number;
  /** Messages of one side. */
  messageCountMax: number;
  messageBytesMax: number;
  /** Many small messages, one after the other, which lead to a multishot receive. */
  chatty: boolean;
  /** Many sends at once, small and medium, which fill a batch to its last range. */
  crowded: boolean;
  networkCount: 1 | 2;
  late: boolean;
  /** Whether operations break on their way to the kernel and back: see `random_throws.ts`. */
  throws: boolean;
}

const CAPACITIES = [1, 64, 1_000, 4_096, 65_536, 65_536, 1 << 20];

/** True when nothing in the plan may cost a byte. */
export function isLossless({ config, disruptions, faults, throws }: Plan): boolean {
  const { closes, resets, networkClose } = disruptions;
  const calm = !closes && !resets && !networkClose && !throws && config.soLinger !== 0;
  // Closing gives up what is left when its time is over.
  const patient = config.shutdownTimeoutMs === null;
  return calm && patient && !HARD_KINDS.some((kind) => faults[kind]);
}

/** True when nothing in the plan may end a send. */
export function mustSend(plan: Plan): boolean {
  const { sendTimeouts, sendAborts } = plan.disruptions;
  return isLossless(plan) && !sendTimeouts && !sendAborts;
}

export function drawPlan(random: Random): Plan {
  const disruptions = drawDisruptions(random);
  const faults = drawFaults(random);
  const sendCapacity = random.pick(CAPACITIES);
  const recvCapacity = random.pick(CAPACITIES);
  const chatty = random.chance(0.5);
  const crowded = !chatty && !faults.oneByte && random.chance(0.3);
  // The longest message takes at most a few hundred round trips.
  const hindrance = (faults.oneByte ? 10 : 1) * (chatty || crowded ? 30 : 1);
  const slowest = Math.min(sendCapacity, recvCapacity) / hindrance;
  const bytesMin = chatty || crowded ? 12 : 60;
  const messageBytesMax = Math.max(bytesMin, Math.min(300_000, Math.floor(slowest * 300)));
  const latencyMax = random.pick([0.05, 0.5, 3]);
  const plan: Plan = {
    config: drawConfig(random, chatty),
    kernel: {
      sendCapacity,
      recvCapacity,
      latencyMs: () => random.float() * latencyMax,
      descriptorMax: random.pick([1_024, 64]),
    },
    sizes: {
      opCapacity: random.pick([8, 32, 1_024]),
      completionCapacity: random.pick([16, 64, 2_048]),
      blockCount: random.pick([66, 130, 258, 1_024]),
      bufferCount: random.pick([2, 8, 256]),
      multishot: random.chance(0.75),
    },
    faults,
    disruptions,
    connectionCount: random.int(1, 4),
    messageCountMax: chatty || crowded ? random.int(20, 80) : random.int(1, 10),
    messageBytesMax,
    chatty,
    crowded,
    networkCount: random.pick([1, 2]),
    late: random.chance(0.4),
    throws: random.chance(0.1),
  };
  if (random.chance(0.6)) plan.config.shutdownTimeoutMs = null;
  // A buffered send has resolved before it can fail, so nothing may end it here.
  if (!mustSend(plan)) delete plan.config.writeBufferSize;
  // When the pool is empty, reads go through read buffers, however small those are.
  const { readBufferSize } = plan.config;
  const tinyReads = readBufferSize! > 0 && readBufferSize! < 1_000;
  const tinyMax = (readBufferSize! * 100 + 400) / (crowded ? 4 : 1);
  if (tinyReads) plan.messageBytesMax = Math.min(messageBytesMax, tinyMax);
  if (plan.sizes.completionCapacity! < plan.sizes.opCapacity!) {
    plan.sizes.completionCapacity = plan.sizes.opCapacity!;
  }
  return plan;
}

function drawDisruptions(random: Random): Disruptions {
  const calm = random.chance(0.35);
  const some = (probability: number) => !calm && random.chance(probability);
  return {
    sendTimeouts: some(0.3),
    sendAborts: some(0.3),
    recvTimeouts: some(0.5),
    recvAborts: some(0.5),
    closes: some(0.25),
    resets: some(0.25),
    networkClose: some(0.2),
  };
}

function drawFaults(random: Random): Partial<FaultRates> {
  const faults: Partial<FaultRates> = {};
  const choose = (kinds: readonly FaultKind[], probability: number) => {
    for (const kind of kinds) {
      if (random.chance(probability)) faults[kind] = USUAL_RATES[kind] * random.float();
    }
  };
  choose(SOFT_KINDS, 0.3);
  if (random.chance(0.3)) choose(HARD_KINDS, 0.4);
  return faults;
}

function drawConfig(random: Random, chatty: boolean): NetworkConfig {
  const readBufferSizes = chatty
    ? [4_096, 10_000, 16_384, 65_536, 65_536]
    : [0, 1, 256, 4_096, 65_536];
  const maxSize = random.pick([1_024, 16_384, 65_536]);
  return {
    readBufferSize: random.pick(readBufferSizes),
    writeBufferSize: random.pick([0, 0, 0, 2_000, 100_000]),
    shutdownTimeoutMs: random.pick([0, 5, 200, 5_000]),
    soLinger: random.pick([null, null, null, 5, 0]),
    connectTimeoutMs: 2_000,
    ring: {
      topology: random.pick(["shared", "split"]),
      maxInFlight: random.pick([24, 65_536]),
      spin: random.pick([false, {}]),
    },
    pool: {
      debug: true,
      maxPerClass: random.pick([1, 4, 16, 64]),
      minSize: Math.min(random.pick([128, 128, 1_024, 16_384]), maxSize),
      maxSize,
    },
  };
}

/**
 * What the kernel says of the options of dialled and of accepted sockets: those of a listener go to
 * what it accepts.
 *
 * @module
 */
import type { NetworkConfig } from "../../mod.ts";
import { type ContractContext, descriptors, Pair, started } from "../contract/fixture.ts";
import { assert, suite } from "../harness.ts";
import { socketOption } from "../support/libc.ts";

const test = suite<ContractContext>("options", {} as ContractContext, { timeoutMs: 10_000 });

/** include/uapi/asm-generic/socket.h, include/uapi/linux/tcp.h */
const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const SO_LINGER = 13;
const SO_PROTOCOL = 38;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;

interface Options {
  noDelay: number;
  linger: number[];
  keepAlive: number;
  /** Idle, interval, count; empty without keep-alive. */
  times: number[];
}

function optionsOf(fd: number): Options {
  const one = (level: number, name: number) => Array.from(socketOption(fd, level, name)!);
  const keepAlive = one(SOL_SOCKET, SO_KEEPALIVE)[0];
  const times = keepAlive ? [TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT] : [];
  return {
    noDelay: one(IPPROTO_TCP, TCP_NODELAY)[0],
    linger: one(SOL_SOCKET, SO_LINGER),
    keepAlive,
    times: times.flatMap((name) => one(IPPROTO_TCP, name)),
  };
}

function isTcp(fd: number): boolean {
  return socketOption(fd, SOL_SOCKET, SO_PROTOCOL)?.[0] === IPPROTO_TCP;
}

/** The options of the listener, the dialled and the accepted socket, in no order. */
async function optionsOfAll(config: NetworkConfig, host: string): Promise<Options[]> {
  await using own = await started(config);
  const before = descriptors();
  const listener = await own.network.bind(`${host}:0`);
  const [client, server] = await Promise.all([
    own.network.dial(listener.localAddress),
    listener.accept(),
  ]);
  await using _ = new Pair(client, server, listener);
  const added = [...descriptors().keys()].filter((fd) => !before.has(fd)).map(Number);
  return added.filter(isTcp).map(optionsOf);
}

const KEEP_ALIVE = { idleSeconds: 30, intervalSeconds: 5, count: 3 };
const OFF = { noDelay: 0, linger: [0, 0], keepAlive: 0, times: [] };

const cases: readonly [string, NetworkConfig, Options][] = [
  ["by default", {}, { ...OFF, noDelay: 1 }],
  ["tcpNoDelay false", { tcpNoDelay: false }, OFF],
  ["soLinger 0", { soLinger: 0 }, { ...OFF, noDelay: 1, linger: [1, 0] }],
  ["soLinger 7", { soLinger: 7 }, { ...OFF, noDelay: 1, linger: [1, 7] }],
  ["keepAlive", { keepAlive: KEEP_ALIVE }, {
    ...OFF,
    noDelay: 1,
    keepAlive: 1,
    times: [30, 5, 3],
  }],
];

for (const [name, config, wanted] of cases) {
  for (const host of ["127.0.0.1", "[::1]"]) {
    test(`${name}, ${host}: dialled and accepted sockets have the options`, async () => {
      const all = await optionsOfAll(config, host);
      assert.is(all.length, 3);
      for (const options of all) assert.equal(options, wanted);
    });
  }
}

test.run();

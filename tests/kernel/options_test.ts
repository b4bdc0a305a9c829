/**
 * The options of dialled and of accepted sockets, as the kernel reports them: those of a listener
 * go to what it accepts.
 *
 * @module
 */
import type { NetworkConfig } from "../../mod.ts";
import { type ContractContext, descriptors, Pair, SOON_MS, started } from "../contract/fixture.ts";
import { assert, suite } from "../harness.ts";
import { socketOption } from "../support/libc.ts";

const test = suite<ContractContext>("options", {} as ContractContext, { timeoutMs: 30_000 });

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

/** Names and levels of what `dial`, `bind` and `setOptions` set. */
const KERNEL = {
  sendBufferBytes: [SOL_SOCKET, 7],
  recvBufferBytes: [SOL_SOCKET, 8],
  reusePort: [SOL_SOCKET, 15],
  interfaceIndex: [SOL_SOCKET, 62],
  deferAcceptSeconds: [IPPROTO_TCP, 9],
  userTimeoutMs: [IPPROTO_TCP, 18],
  noDelay: [IPPROTO_TCP, TCP_NODELAY],
  keepAlive: [SOL_SOCKET, SO_KEEPALIVE],
  idleSeconds: [IPPROTO_TCP, TCP_KEEPIDLE],
  tos: [0, 1],
  trafficClass: [41, 67],
  ipv6Only: [41, 26],
} as const;

function read(fd: number, name: keyof typeof KERNEL): number | undefined {
  const [level, option] = KERNEL[name];
  return socketOption(fd, level, option)?.[0];
}

/** Descriptors of TCP that `make` adds. */
async function added<T>(make: () => Promise<T>): Promise<[T, number[]]> {
  const before = descriptors();
  const made = await make();
  const fds = [...descriptors().keys()].filter((fd) => !before.has(fd)).map(Number);
  return [made, fds.filter(isTcp)];
}

const SOCKET_OPTIONS = {
  noDelay: false,
  keepAlive: { idleSeconds: 44 },
  sendBufferBytes: 30_000,
  recvBufferBytes: 40_000,
  userTimeoutMs: 7_000,
  trafficClass: 0x10,
};

function expectOptions(fd: number, isIpv6: boolean): void {
  assert.is(read(fd, "noDelay"), 0);
  assert.is(read(fd, "keepAlive"), 1);
  assert.is(read(fd, "idleSeconds"), 44);
  assert.is(read(fd, "sendBufferBytes"), 60_000, "the kernel doubles it");
  assert.is(read(fd, "recvBufferBytes"), 80_000, "the kernel doubles it");
  assert.is(read(fd, "userTimeoutMs"), 7_000);
  assert.is(read(fd, isIpv6 ? "trafficClass" : "tos"), 0x10);
}

for (const host of ["127.0.0.1", "[::1]"]) {
  test(`dial and setOptions, ${host}: the kernel has each option`, async () => {
    await using own = await started({});
    const { network } = own;
    const [listener] = await added(() => network.bind(`${host}:0`));
    // No call accepts, so the dialled socket is the only one that is added.
    const [dialled, [fd]] = await added(() =>
      network.dial(listener.localAddress, { ...SOCKET_OPTIONS, localAddress: `${host}:0` })
    );
    expectOptions(fd, host === "[::1]");
    const [plain, [other]] = await added(() => network.dial(listener.localAddress));
    assert.is(read(other, "noDelay"), 1);
    plain.setOptions(SOCKET_OPTIONS);
    expectOptions(other, host === "[::1]");
    plain.setOptions({ keepAlive: false, noDelay: true });
    assert.is(read(other, "keepAlive"), 0);
    assert.is(read(other, "noDelay"), 1);
    assert.is(read(other, "userTimeoutMs"), 7_000, "what is left out stays");
    for (const connection of [dialled, plain]) connection.reset();
    await Promise.all([dialled.close(), plain.close(), listener.close()]);
  });
}

test("trafficClass of an IPv6 socket applies to an IPv4 peer as well", async () => {
  await using own = await started({});
  const { network } = own;
  const [listener] = await added(() => network.bind("127.0.0.1:0"));
  const { port } = listener.localAddress as { port: number };
  const mapped = `[::ffff:127.0.0.1]:${port}`;
  const [dialled, [fd]] = await added(() => network.dial(mapped, { trafficClass: 0x10 }));
  assert.equal([read(fd, "trafficClass"), read(fd, "tos")], [0x10, 0x10]);
  dialled.setOptions({ trafficClass: 0x20 });
  assert.equal([read(fd, "trafficClass"), read(fd, "tos")], [0x20, 0x20]);
  dialled.reset();
  await Promise.all([dialled.close(), listener.close()]);
});

test("bind: the kernel has each option", async () => {
  await using own = await started({});
  const [listener, [fd]] = await added(() =>
    own.network.bind("[::1]:0", {
      reusePort: true,
      ipv6Only: true,
      deferAcceptSeconds: 3,
      interfaceName: "lo",
    })
  );
  assert.is(read(fd, "reusePort"), 1);
  assert.is(read(fd, "ipv6Only"), 1);
  assert.is(read(fd, "interfaceIndex"), 1);
  assert.is(read(fd, "deferAcceptSeconds"), 3);
  await listener.close();
  const refused = own.network.bind("127.0.0.1:0", { interfaceName: "no-such-if0" });
  await assert.rejects(refused, { code: "BindFailed", errno: "ENODEV" });
});

test("deferAcceptSeconds: a connection is accepted with its first bytes", async () => {
  await using own = await started({});
  const listener = await own.network.bind("127.0.0.1:0", { deferAcceptSeconds: 5 });
  const client = await own.network.dial(listener.localAddress);
  await assert.rejects(listener.accept({ timeoutMs: 50 }), { code: "Timeout" });
  await client.sink.send("now");
  const server = await listener.accept({ timeoutMs: SOON_MS });
  assert.is((await server.stream.recv(3)).text(), "now");
  await Promise.all([client.close(), server.close(), listener.close()]);
});

test("localAddress: the connection starts there, or the error names it", async () => {
  await using own = await started({});
  const listener = await own.network.bind("127.0.0.1:0");
  const client = await own.network.dial(listener.localAddress, { localAddress: "127.0.0.7:0" });
  const server = await listener.accept();
  assert.is((server.remoteAddress as { hostname: string }).hostname, "127.0.0.7");
  assert.equal(client.localAddress, server.remoteAddress);
  await assert.rejects(
    own.network.dial(listener.localAddress, { localAddress: "203.0.113.9:0" }),
    (error) =>
      error.errno === "EADDRNOTAVAIL" && /from 203\.0\.113\.9:0: address not/.test(error.message),
  );
  // Names of this process alone: both runtimes may run this file at the same time.
  const name = `uringnet-options-${crypto.randomUUID()}`;
  const named = await own.network.bind(`unix:@${name}`);
  const localAddress = `unix:@${name}-from`;
  const from = await own.network.dial(named.localAddress, { localAddress });
  const peer = await named.accept();
  assert.equal(peer.remoteAddress, { path: `\0${name}-from` });
  await Promise.all([client, server, from, peer, listener, named].map((one) => one.close()));
});

test("options without effect on an address, and wrong ones, are refused", async () => {
  await using own = await started({});
  const { network } = own;
  const wrong: [() => Promise<unknown>, RegExp][] = [
    [() => network.bind("unix:@a", { interfaceName: "lo" }), /interfaceName.*address of TCP/],
    [() => network.bind("unix:@a", { deferAcceptSeconds: 1 }), /deferAcceptSeconds/],
    [() => network.bind("127.0.0.1:0", { deferAcceptSeconds: -1 }), /0 to 32767/],
    [() => network.bind("127.0.0.1:0", { interfaceName: "" }), /interfaceName/],
    [() => network.bind("127.0.0.1:0", { interfaceName: "x".repeat(16) }), /1 to 15/],
    [() => network.bind("127.0.0.1:0", { interfaceName: "a/b" }), /interfaceName/],
    [() => network.dial("127.0.0.1:1", { family: 5 as never }), /family.*4 or 6/],
    [() => network.dial("unix:@a", { family: 4 }), /family/],
    [() => network.dial("127.0.0.1:1", { attemptDelayMs: -1 }), /attemptDelayMs/],
    [() => network.dial("127.0.0.1:1", { localAddress: "unix:@a" }), /localAddress/],
    [() => network.dial("unix:@a", { localAddress: "unix:/tmp/a" }), /localAddress.*abstract/],
    [() => network.dial("unix:@a", { localAddress: "127.0.0.1:0" }), /localAddress/],
    [() => network.dial("127.0.0.1:1", { trafficClass: 300 }), /trafficClass.*0 to 255/],
    [() => network.dial("127.0.0.1:1", { nodelay: true } as never), /"options.nodelay".*only/],
    [() => network.dial("127.0.0.1:1", AbortSignal.abort() as never), /with a signal/],
  ];
  for (const [call, message] of wrong) {
    await assert.rejects(
      call(),
      (error) =>
        (error instanceof TypeError || error instanceof RangeError) && message.test(error.message),
    );
  }
});

test("-0 is 0 for each option", async () => {
  await using own = await started({ soLinger: -0 });
  const { network } = own;
  const listener = await network.bind("127.0.0.1:0", { backlog: -0, deferAcceptSeconds: -0 });
  const options = { userTimeoutMs: -0, trafficClass: -0, attemptDelayMs: -0, timeoutMs: SOON_MS };
  const [client, server] = await Promise.all([
    network.dial(listener.localAddress, options),
    listener.accept(),
  ]);
  await using _ = new Pair(client, server, listener);
  client.setOptions({ userTimeoutMs: -0, trafficClass: -0 });
  await assert.rejects(network.adoptListener(-0), { operation: "adopt" });
});

test.run();

/**
 * Descriptors that others have made: adopted listeners and connections, and socket activation with
 * systemd's own launcher and with one of the project.
 *
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Network, type NetworkError, type SocketAddress } from "../../mod.ts";
import { adoptDescriptor } from "../../src/net/accept/adopt_descriptor.ts";
import { AF_INET, AF_UNIX, writeSockaddr } from "../../src/net/address/sockaddr.ts";
import { networkAccess } from "../../src/net/lifecycle/network_access.ts";
import {
  closeChecked,
  type ContractContext,
  descriptors,
  expectText,
  SOON_MS,
} from "../contract/fixture.ts";
import { assert, patience, suite } from "../harness.ts";
import { freePort } from "../support/free_port.ts";
import { libc, socketOption } from "../support/libc.ts";

const test = suite<ContractContext>("adopted descriptors", {} as ContractContext, {
  timeoutMs: 120_000,
});
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SOON = { timeoutMs: SOON_MS };
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const F_GETFD = 1;
const F_GETFL = 3;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

test.before(async (context) => {
  context.network = await Network.start();
});
test.after(({ network }) => closeChecked(network));

/** A listening socket of the C library, whose descriptor has no owner. */
function listening(type = SOCK_STREAM): { fd: number; port: number } {
  const fd = libc.socket(AF_INET, type, 0);
  const address = new Uint8Array(128);
  const { length } = writeSockaddr(address, { hostname: "127.0.0.1", port: 0 });
  assert.is(libc.bind(fd, address, length), 0);
  assert.is(libc.listen(fd, 8), 0);
  const size = new Uint8Array(4);
  size[0] = 128;
  assert.is(libc.getsockname(fd, address, size), 0);
  return { fd, port: (address[2] << 8) | address[3] };
}

const isOpen = (fd: number) => descriptors().has(String(fd));

test("adoptListener() takes over a listening descriptor, and closes it", async ({ network }) => {
  const { fd, port } = listening();
  const listener = await network.adoptListener(fd);
  assert.equal(listener.localAddress, { hostname: "127.0.0.1", port });
  const [client, server] = await Promise.all([
    network.dial(listener.localAddress),
    listener.accept(),
  ]);
  await client.sink.send("hello");
  await expectText(server, "hello");
  await Promise.all([client.close(), server.close(), listener.close()]);
  assert.is(isOpen(fd), false);
});

test("adoptConnection() takes over connected descriptors: TCP and unix", async ({ network }) => {
  await using listener = await network.bind("127.0.0.1:0");
  const fd = libc.socket(AF_INET, SOCK_STREAM, 0);
  const address = new Uint8Array(128);
  const { length } = writeSockaddr(address, listener.localAddress as SocketAddress);
  assert.is(libc.connect(fd, address, length), 0);
  const [client, server] = await Promise.all([network.adoptConnection(fd), listener.accept()]);
  assert.equal(client.remoteAddress, listener.localAddress);
  await server.sink.send("hello");
  await expectText(client, "hello");
  await Promise.all([client.close(), server.close()]);
  assert.is(isOpen(fd), false);
  const pair = new Int32Array(2);
  assert.is(libc.socketpair(AF_UNIX, SOCK_STREAM, 0, new Uint8Array(pair.buffer)), 0);
  const [one, other] = await Promise.all([...pair].map((fd) => network.adoptConnection(fd)));
  await one.sink.send("pair");
  await expectText(other, "pair");
  await Promise.all([one.close(), other.close()]);
});

test("a wrong descriptor is a typed error, and stays open and as it was", async ({ network }) => {
  const { fd: listener } = listening();
  const fresh = libc.socket(AF_INET, SOCK_STREAM, 0);
  const datagrams = libc.socket(AF_INET, SOCK_DGRAM, 0);
  const packets = libc.socket(AF_UNIX, SOCK_SEQPACKET, 0);
  const before = [...descriptors().entries()];
  const wrong: [fd: number, forListener: string, forConnection: string][] = [
    [fresh, "EINVAL", "ENOTCONN"],
    [datagrams, "EPROTOTYPE", "EPROTOTYPE"],
    [packets, "EPROTOTYPE", "EPROTOTYPE"],
    [9_999, "EBADF", "EBADF"],
  ];
  for (const [fd, forListener, forConnection] of wrong) {
    await assert.rejects(network.adoptListener(fd), {
      code: "BindFailed",
      operation: "adopt",
      errno: forListener,
    });
    await assert.rejects(network.adoptConnection(fd), {
      code: "ConnectionFailed",
      operation: "adopt",
      errno: forConnection,
    });
  }
  await assert.rejects(network.adoptConnection(listener), { errno: "ENOTCONN" });
  assert.equal([...descriptors().entries()], before);
  for (const fd of [null, "3", -1, 1.5, NaN, 2 ** 31, {}]) {
    const isTyped = (error: Error) => error instanceof TypeError || error instanceof RangeError;
    await assert.rejects(network.adoptListener(fd as never), isTyped);
    await assert.rejects(network.adoptConnection(fd as never), isTyped);
  }
  // A descriptor of a network belongs to that network alone.
  const adopted = await network.adoptListener(listener);
  await assert.rejects(network.adoptListener(listener), { errno: "EBUSY" });
  await adopted.close();
  for (const fd of [fresh, datagrams, packets]) assert.is(libc.close(fd), 0);
});

test("a set with a wrong descriptor leaves the ones before it unchanged", async ({ network }) => {
  const { fd } = listening(SOCK_STREAM | SOCK_NONBLOCK);
  const datagrams = libc.socket(AF_INET, SOCK_DGRAM, 0);
  const stateOf = () => [
    libc.fcntl(fd, F_GETFD, 0),
    libc.fcntl(fd, F_GETFL, 0),
    socketOption(fd, IPPROTO_TCP, TCP_NODELAY)?.[0],
  ];
  const before = stateOf();
  const context = networkAccess().coreOf(network).internals();
  const adopting = () => adoptDescriptor.adoptListeners(context, [fd, datagrams]);
  assert.throws(adopting, (error: NetworkError) => error.errno === "EPROTOTYPE");
  assert.equal(stateOf(), before);
  await (await network.adoptListener(fd)).close();
  assert.is(libc.close(datagrams), 0);
});

test("a closed network adopts nothing, and the descriptor stays open", async () => {
  const network = await Network.start();
  await network.close();
  const { fd } = listening();
  await assert.rejects(network.adoptListener(fd), { code: "Closed", operation: "adopt" });
  await assert.rejects(network.adoptConnection(fd), { code: "Closed" });
  assert.is(libc.close(fd), 0);
});

// ------------------------------------------------------------------------------------- activation

const program = join(root, "tests", "serve", "programs", "activated.ts");
const runtime = "Bun" in globalThis
  ? [process.execPath, program]
  : [process.execPath, "run", "--allow-ffi", "--allow-env", "--quiet", program];

interface Run {
  code: number | null;
  output: string;
}

/** Runs a command; `whenReady` is called once, when it has printed "ready" to either stream. */
function run(command: string[], whenReady: () => Promise<void> = () => Promise.resolve()) {
  const child = spawn(command[0], command.slice(1), { cwd: root });
  let output = "";
  let called: Promise<void> | null = null;
  const take = (data: Uint8Array) => {
    output += new TextDecoder().decode(data);
    if (called === null && /ready|Listening on/i.test(output)) called = whenReady();
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  const timer = setTimeout(() => child.kill("SIGKILL"), patience(60_000));
  return new Promise<Run>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      Promise.resolve(called).then(() => resolve({ code, output }), reject);
    });
  });
}

/** Says hello to the activated program, which answers with the name of its listener. */
async function greet(network: Network, port: number): Promise<string> {
  for (const end = performance.now() + SOON_MS;;) {
    try {
      await using client = await network.dial(`127.0.0.1:${port}`);
      await client.sink.send("hello\n");
      return (await client.stream.recvUntil("\n", SOON)).text().trimEnd();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

const systemd = "/usr/bin/systemd-socket-activate";
const missing = existsSync(systemd) ? null : "systemd-socket-activate is not installed";

test.skipIf(missing, "systemd-socket-activate: the listener answers", async ({ network }) => {
  const port = await freePort();
  let greeting = "";
  const ran = await run(
    [systemd, `--listen=127.0.0.1:${port}`, "--fdname=web", ...runtime],
    async () => {
      greeting = await greet(network, port);
    },
  );
  assert.is(greeting, "web", ran.output);
  assert.is(ran.code, 0, ran.output);
});

/** The project's own launcher: binds, passes descriptors from 3 on, and becomes the program. */
const launcher = join(mkdtempSync(join(tmpdir(), "uringnet-launch-")), "launch");
test.before(() => {
  const source = join(root, "tests", "serve", "programs", "launch.c");
  execFileSync(process.env.CC || "cc", ["-O1", "-Wall", "-Wextra", "-o", launcher, source]);
});
test.after(() => rmSync(dirname(launcher), { recursive: true }));

function launch(ports: readonly (number | "datagram")[], ...settings: string[]): string[] {
  return [launcher, ...ports.map(String), ...settings, "--", ...runtime];
}

test("several descriptors, by name; the same name twice", async ({ network }) => {
  const ports = [await freePort(), await freePort(), await freePort()];
  const greetings: string[] = [];
  const names = ["LISTEN_FDS=3", "LISTEN_FDNAMES=web:admin:web"];
  const ran = await run(launch(ports, ...names), async () => {
    for (const port of ports) greetings.push(await greet(network, port));
  });
  assert.equal(greetings, ["web", "admin", "web:2"], ran.output);
  assert.is(ran.code, 0, ran.output);
});

test("another process's descriptors, or none: an empty map", async () => {
  for (const settings of [["LISTEN_FDS=1", "LISTEN_PID=1"], ["LISTEN_FDS="]]) {
    const ran = await run(launch([0], ...settings));
    assert.match(ran.output, /none/);
    assert.is(ran.code, 0, ran.output);
  }
});

test("a malformed environment, a wrong descriptor: a typed error", async () => {
  const wrong: [string[], RegExp][] = [
    [["LISTEN_FDS=x"], /BindFailed EINVAL .*LISTEN_FDS is "x"/],
    [["LISTEN_FDS=-1"], /BindFailed EINVAL/],
    [["LISTEN_FDS=999999"], /BindFailed EINVAL/],
    [["LISTEN_FDS=1", "LISTEN_FDNAMES=a:b"], /BindFailed EINVAL .*2 names for 1/],
    // The second descriptor is a datagram socket: the first one is given back.
    [["LISTEN_FDS=2"], /BindFailed EPROTOTYPE .*then 1 listens/],
  ];
  for (const [settings, message] of wrong) {
    const ran = await run(launch([0, "datagram"], ...settings));
    assert.match(ran.output, message);
    assert.is(ran.code, 0, ran.output);
  }
});

test.run();

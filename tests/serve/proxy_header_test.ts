/**
 * The PROXY protocol: bytes of the specification's own form, headers cut at each byte, headers that
 * lie, and haproxy as sender and receiver.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Connection,
  Network,
  type NetworkError,
  type ProxyHeader,
  proxyHeader,
  readProxyHeader,
  serve,
  type SocketAddress,
} from "../../mod.ts";
import { crc32c } from "../../src/serve/crc32c.ts";
import {
  closeChecked,
  concat,
  connect,
  type ContractContext,
  socketPath,
  SOON_MS,
} from "../contract/fixture.ts";
import { assert, bytesEqual, Random, suite } from "../harness.ts";
import { freePort } from "../support/free_port.ts";

const test = suite<ContractContext>("PROXY protocol", {} as ContractContext, {
  timeoutMs: 30_000,
});
const SOON = { timeoutMs: SOON_MS };
const encoder = new TextEncoder();

test.before(async (context) => {
  context.network = await Network.start();
});
test.after(({ network }) => closeChecked(network));

const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];
const ipv4 = { hostname: "192.0.2.1", port: 50_000 };
const otherIpv4 = { hostname: "192.0.2.2", port: 443 };
const ipv6 = { hostname: "2001:db8::1", port: 50_000 };
const otherIpv6 = { hostname: "2001:db8::2", port: 443 };

/** Reads a header from a connection that has received `bytes` and nothing else, or the end. */
async function read(network: Network, bytes: Uint8Array, end = true): Promise<ProxyHeader> {
  await using pair = await connect(network);
  await pair.client.sink.send(bytes);
  if (end) await pair.client.sink.close();
  return await readProxyHeader(pair.server.stream, SOON);
}

/** Reading rejects, and leaves each byte. */
async function expectRefused(
  network: Network,
  bytes: Uint8Array,
  check: Record<string, unknown> | RegExp,
  end = true,
): Promise<void> {
  await using pair = await connect(network);
  await pair.client.sink.send(bytes);
  if (end) await pair.client.sink.close();
  const { stream } = pair.server;
  await assert.rejects(readProxyHeader(stream, SOON), check);
  const left = bytes.length === 0 ? new Uint8Array(0) : (await stream.recv(bytes.length, SOON));
  bytesEqual(left instanceof Uint8Array ? left : left.toUint8Array(), bytes);
}

function binary(command: number, family: number, block: number[]): Uint8Array {
  const { length } = block;
  return Uint8Array.from([...SIGNATURE, command, family, length >> 8, length & 255, ...block]);
}

test("version 1 as the document writes it", async ({ network }) => {
  const line = (header: ProxyHeader) => new TextDecoder().decode(proxyHeader(header, 1));
  const four = { source: ipv4, destination: otherIpv4 };
  const six = { source: ipv6, destination: otherIpv6 };
  assert.is(line(four), "PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n");
  assert.is(line(six), "PROXY TCP6 2001:db8::1 2001:db8::2 50000 443\r\n");
  assert.is(line({ source: null, destination: null }), "PROXY UNKNOWN\r\n");
  assert.is(line({ command: "LOCAL", ...four }), "PROXY UNKNOWN\r\n");
  assert.is(line({ source: { path: "/a" }, destination: { path: "/b" } }), "PROXY UNKNOWN\r\n");
  for (const header of [four, six]) {
    assert.equal(await read(network, proxyHeader(header, 1)), { command: "PROXY", ...header });
  }
  const unknown = { command: "PROXY", source: null, destination: null };
  assert.equal(await read(network, encoder.encode("PROXY UNKNOWN\r\n")), unknown);
  const longest = `PROXY UNKNOWN ${"f".repeat(91)}\r\n`;
  assert.is(longest.length, 107);
  assert.equal(await read(network, encoder.encode(longest)), unknown);
});

test("version 2 as the document writes it", async ({ network }) => {
  const bytes = proxyHeader({ source: ipv4, destination: otherIpv4 });
  bytesEqual(
    bytes,
    binary(0x21, 0x11, [192, 0, 2, 1, 192, 0, 2, 2, 0xc3, 0x50, 0x01, 0xbb]),
  );
  bytesEqual(
    proxyHeader({ command: "LOCAL", source: null, destination: null }, 2),
    binary(32, 0, []),
  );
  const tlvs = [{ type: 1, value: encoder.encode("h2") }, { type: 0xe0, value: new Uint8Array(0) }];
  const headers: ProxyHeader[] = [
    { source: ipv4, destination: otherIpv4, tlvs },
    { source: ipv6, destination: otherIpv6, tlvs: [] },
    { source: { path: "/run/a.sock" }, destination: { path: "\0abstract" }, tlvs },
    { source: { path: "" }, destination: { path: "" }, tlvs: [] },
    { source: null, destination: null, tlvs },
  ];
  for (const header of headers) {
    const isUnnamed = header.source !== null && "path" in header.source &&
      header.source.path === "";
    const bytes = isUnnamed ? binary(0x21, 0x31, new Array(216).fill(0)) : proxyHeader(header, 2);
    assert.equal(await read(network, bytes), { command: "PROXY", ...header });
  }
  // Whatever stands in a LOCAL header is skipped.
  for (const block of [[], [1, 2, 3], new Array(300).fill(9)]) {
    const bytes = concat([binary(0x20, 0xff, block), encoder.encode("next")]);
    await using pair = await connect(network);
    await pair.client.sink.send(bytes);
    const header = await readProxyHeader(pair.server.stream, SOON);
    assert.equal(header, { command: "LOCAL", source: null, destination: null, tlvs: [] });
    assert.is((await pair.server.stream.recv(4, SOON)).text(), "next");
  }
});

test("a header cut at each byte is read, and what follows stays", async ({ network }) => {
  const tlvs = [{ type: 2, value: encoder.encode("name") }];
  const header = { source: ipv6, destination: otherIpv6 };
  for (const bytes of [proxyHeader(header, 1), proxyHeader({ ...header, tlvs }, 2)]) {
    await using pair = await connect(network);
    for (let at = 1; at < bytes.length; at++) {
      const reading = readProxyHeader(pair.server.stream, SOON);
      await pair.client.sink.send(bytes.subarray(0, at));
      await pair.client.sink.send(concat([bytes.subarray(at), encoder.encode("body")]));
      assert.equal((await reading).source, ipv6, `cut at ${at}`);
      assert.is((await pair.server.stream.recv(4, SOON)).text(), "body");
    }
  }
});

test("a peer that stops inside a header: no byte is lost", async (c) => {
  const header = { source: ipv4, destination: otherIpv4 };
  for (const bytes of [proxyHeader(header, 1), proxyHeader(header, 2)]) {
    for (let length = 0; length < bytes.length; length++) {
      const part = bytes.subarray(0, length);
      const ended = { code: "RecvFailed", endOfStream: true, operation: "readProxyHeader" };
      await expectRefused(c.network, part, ended);
    }
    await using pair = await connect(c.network);
    const { stream } = pair.server;
    await pair.client.sink.send(bytes.subarray(0, 15));
    await assert.rejects(readProxyHeader(stream, { timeoutMs: 10 }), { code: "Timeout" });
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(readProxyHeader(stream, { signal }), /enough/);
    await pair.client.sink.send(bytes.subarray(15));
    assert.equal((await readProxyHeader(stream, SOON)).source, ipv4);
  }
});

test("bytes that are not a header are refused at the first wrong one", async ({ network }) => {
  const protocol = { code: "RecvFailed", errno: "EPROTO", operation: "readProxyHeader" };
  const texts = [
    "GET / HTTP/1.1\r\n\r\n",
    "P4",
    "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
    "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
    "PROXY TCP4 ::1 ::1 1 2\r\n",
    "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
    "PROXY TCP6 fe80::1%1 ::1 1 2\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
    "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "PROXY \r\n",
    `PROXY UNKNOWN ${"f".repeat(92)}\r\n`,
    `PROXY ${"f".repeat(110)}`,
  ];
  for (const text of texts) {
    // The peer neither goes on nor ends: the bytes alone decide.
    await expectRefused(network, encoder.encode(text), protocol, false);
  }
  const address = [1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0, 2];
  const headers = [
    binary(0x11, 0x11, address),
    binary(0x31, 0x11, address),
    binary(0x22, 0x11, address),
    binary(0x21, 0x41, address),
    binary(0x21, 0x13, address),
    binary(0x21, 0x11, address.slice(1)),
    binary(0x21, 0x21, address),
    binary(0x21, 0x31, new Array(215).fill(0)),
    binary(0x21, 0x11, [...address, 1]),
    binary(0x21, 0x11, [...address, 1, 0]),
    binary(0x21, 0x11, [...address, 1, 0, 2, 65]),
    binary(0x21, 0x11, [...address, 3, 0, 3, 1, 2, 3]),
    binary(0x21, 0x11, [...address, 3, 0, 4, 1, 2, 3, 4]),
  ];
  for (const bytes of headers) await expectRefused(network, bytes, protocol, false);
});

test("a checksum that is right is accepted, and one wrong bit is not", async ({ network }) => {
  const tlvs = [{ type: 3, value: new Uint8Array(4) }, { type: 4, value: new Uint8Array(7) }];
  const bytes = proxyHeader({ source: ipv4, destination: otherIpv4, tlvs });
  const at = bytes.length - 10 - 4;
  new DataView(bytes.buffer).setUint32(at, crc32c(bytes));
  assert.equal((await read(network, bytes)).source, ipv4);
  bytes[20] ^= 1;
  await expectRefused(network, bytes, { errno: "EPROTO" });
  // RFC 3720, appendix B.4
  assert.is(crc32c(new Uint8Array(32)), 0x8a91_36aa);
  assert.is(crc32c(new Uint8Array(32).fill(255)), 0x62a8_ab43);
});

test("the longest header, byte by byte at its end", async ({ network }) => {
  const value = new Uint8Array(65_535 - 12 - 3).fill(7);
  const bytes = proxyHeader({ source: ipv4, destination: otherIpv4, tlvs: [{ type: 9, value }] });
  await using pair = await connect(network);
  const reading = readProxyHeader(pair.server.stream, SOON);
  await pair.client.sink.send(bytes.subarray(0, -2));
  await pair.client.sink.send(bytes.subarray(-2, -1));
  await pair.client.sink.send(bytes.subarray(-1));
  bytesEqual((await reading).tlvs![0].value, value);
  assert.throws(
    () =>
      proxyHeader({
        source: ipv4,
        destination: otherIpv4,
        tlvs: [{ type: 9, value: new Uint8Array(value.length + 1) }],
      }),
    (error: Error) => error instanceof RangeError,
  );
});

test("headers that cannot be written are refused", () => {
  const wrong: [unknown, unknown, RegExp][] = [
    [null, 1, /"header"/],
    [undefined, 2, /"header"/],
    [{ command: "LOCAL", destination: null }, 2, /"header.source".*null/],
    [{ source: null, destination: undefined }, 1, /"header.destination".*null/],
    [{ source: ipv4, destination: otherIpv6 }, 2, /"header".*one family/],
    [{ source: ipv4, destination: null }, 2, /"header".*one family/],
    [{ source: { hostname: "example.com", port: 1 }, destination: ipv4 }, 2, /"header.source"/],
    [{ source: ipv4, destination: { hostname: "fe80::1%2", port: 1 } }, 2, /"header.destination"/],
    [{ source: { path: "/".repeat(109) }, destination: { path: "/a" } }, 2, /path/],
    [{ source: null, destination: null, command: "proxy" }, 2, /"header.command"/],
    [{ source: null, destination: null, tlvs: {} }, 2, /"header.tlvs"/],
    [
      { source: null, destination: null, tlvs: [{ type: 256, value: new Uint8Array(1) }] },
      2,
      /type/,
    ],
    [{ source: null, destination: null, tlvs: [{ type: 1, value: "x" }] }, 2, /value/],
    [{ source: null, destination: null, tlvs: [{ type: 1, value: new Uint8Array(1) }] }, 1, /tlvs/],
    [{ source: null, destination: null }, 3, /"version".*1 or 2/],
    [{ source: null, destination: null, from: 1 }, 2, /"header.from"/],
  ];
  for (const [header, version, message] of wrong) {
    assert.throws(
      () => proxyHeader(header as never, version as never),
      (error: Error) =>
        (error instanceof TypeError || error instanceof RangeError) && message.test(error.message),
    );
  }
});

test("an argument that is no stream is refused by its name", async ({ network }) => {
  await using pair = await connect(network);
  const { server } = pair;
  for (const wrong of [server, server.sink, undefined, null, 5, "stream"]) {
    const error = await assert.rejects(readProxyHeader(wrong as never), TypeError);
    assert.match(error.message, /^Cannot use "stream": wanted a Stream, .*given /);
  }
});

test("random bytes behind a good beginning are refused or read", async ({ network }) => {
  const random = new Random();
  await using pair = await connect(network);
  for (let i = 0; i < 300; i++) {
    const start = random.pick([SIGNATURE, [...encoder.encode("PROXY ")], []]);
    const bytes = Uint8Array.from([
      ...start,
      ...Array.from({ length: random.int(20, 120) }, () => random.int(0, 255)),
    ]);
    await pair.client.sink.send(bytes);
    const reading = readProxyHeader(pair.server.stream, { timeoutMs: 5 });
    await reading.catch((error: NetworkError) => {
      assert.ok(["RecvFailed", "Timeout"].includes(error.code), error.message);
    });
    pair.server.stream.consume(pair.server.stream.buffered);
  }
});

// --------------------------------------------------------------------------------------- haproxy

const HAPROXY = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].find((path) => existsSync(path));

interface Haproxy extends AsyncDisposable {
  /** The path of each frontend, by name. */
  readonly frontends: Readonly<Record<string, string>>;
}

/** Runs haproxy with unix sockets of its own as frontends, which are there when this resolves. */
async function haproxy(
  network: Network,
  sections: (path: (name: string) => string) => string,
): Promise<Haproxy> {
  const folder = mkdtempSync(join(tmpdir(), "uringnet-haproxy-"));
  const frontends: Record<string, string> = {};
  const path = (name: string) => frontends[name] = join(folder, `${name}.sock`);
  const config = `defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 10s\n` +
    `  timeout server 10s\n${sections(path)}`;
  writeFileSync(join(folder, "haproxy.cfg"), config);
  const child = spawn(HAPROXY as string, ["-db", "-q", "-f", join(folder, "haproxy.cfg")], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const end = performance.now() + SOON_MS;
  for (const frontend of Object.values(frontends)) {
    for (;;) {
      const reached = await network.dial(`unix:${frontend}`).catch(() => null);
      await reached?.close();
      if (reached !== null) break;
      if (performance.now() > end) throw new Error("haproxy does not listen");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  return {
    frontends,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
      rmSync(folder, { recursive: true });
    },
  };
}

const missing = HAPROXY === undefined ? "haproxy is not installed" : null;

/** Answers each request with what the PROXY header before it said. */
async function reporter(network: Network) {
  const listener = await network.bind("127.0.0.1:0");
  const server = serve(listener, async ({ stream, sink }) => {
    const { source, destination } = await readProxyHeader(stream, SOON);
    (await stream.recv(4, SOON)).release();
    await sink.send(`${JSON.stringify([source, destination])}\n`);
  }, { onError: () => {} }); // The connections that only look whether haproxy is there yet.
  return { server, port: (listener.localAddress as SocketAddress).port };
}

async function report(client: Connection, before: Uint8Array = new Uint8Array(0)) {
  await client.sink.send([before, "tell"]);
  return JSON.parse((await client.stream.recvUntil("\n", SOON)).text());
}

test.skipIf(missing, "haproxy sends headers of both versions, which are read", async (context) => {
  const { network } = context;
  const { server, port } = await reporter(network);
  await using _server = server;
  const ports = new Map<string, number>();
  for (const option of ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"]) {
    ports.set(option, await freePort());
  }
  await using _proxy = await haproxy(network, (path) =>
    [...ports].map(([option, front]) => `
listen ${option}
  bind unix@${path(option)}
  bind 127.0.0.1:${front}
  server s 127.0.0.1:${port} ${option}
`).join(""));
  for (const [option, front] of ports) {
    await using client = await network.dial(`127.0.0.1:${front}`);
    assert.equal(await report(client), [client.localAddress, client.remoteAddress], option);
  }
});

test.skipIf(missing, "haproxy accepts headers of both versions, and says so", async (context) => {
  const { network } = context;
  const { server, port } = await reporter(network);
  await using _server = server;
  // haproxy repeats what it has read in a header of its own.
  await using proxy = await haproxy(network, (path) => `
listen in
  bind unix@${path("in")} accept-proxy
  server s 127.0.0.1:${port} send-proxy-v2
`);
  const headers: [ProxyHeader, 1 | 2][] = [
    [{ source: ipv4, destination: otherIpv4 }, 1],
    [{ source: ipv4, destination: otherIpv4 }, 2],
    [{ source: ipv6, destination: otherIpv6 }, 1],
    [{ source: ipv6, destination: otherIpv6, tlvs: [{ type: 5, value: Uint8Array.of(1) }] }, 2],
  ];
  for (const [header, version] of headers) {
    await using client = await network.dial(`unix:${proxy.frontends.in}`);
    const told = await report(client, proxyHeader(header, version));
    assert.equal(told, [header.source, header.destination]);
  }
});

test("a header goes through a unix socket as well", async ({ network }) => {
  await using pair = await connect(network, `unix:${socketPath()}`);
  await pair.client.sink.send(proxyHeader({ source: ipv4, destination: otherIpv4 }));
  assert.equal((await readProxyHeader(pair.server.stream, SOON)).source, ipv4);
});

test.run();

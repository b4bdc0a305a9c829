/**
 * Sockets that are piped into each other, as in a proxy: over this library, where bytes pass by
 * the streams, and over the runtime's own sockets.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import native, { type AddressInfo, type Server, type Socket } from "node:net";
import ring, { netNetwork } from "../../src/adapters/net.ts";
import { assert, bytesEqual, suite } from "../harness.ts";
import { contentOf } from "../support/content.ts";

const test = suite("adapters/relay", {}, { timeoutMs: 60_000 });

type Net = typeof native;

async function listen(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A client, a server, and a proxy between them whose two sockets come from `net`. */
class Proxied implements AsyncDisposable {
  readonly client: Socket;
  /** The end behind the proxy. */
  readonly server: Socket;
  readonly toClient: Socket;
  readonly toServer: Socket;
  readonly #listeners: Server[];

  private constructor(sockets: Socket[], listeners: Server[]) {
    [this.client, this.server, this.toClient, this.toServer] = sockets;
    this.#listeners = listeners;
    for (const socket of sockets) socket.on("error", () => {});
  }

  static async open(net: Net): Promise<Proxied> {
    const behind = native.createServer({ allowHalfOpen: true });
    const before = net.createServer({ allowHalfOpen: true });
    const [behindPort, beforePort] = [await listen(behind), await listen(before)];
    const accepted = [once(before, "connection"), once(behind, "connection")];
    const client = native.connect({ port: beforePort, host: "127.0.0.1", allowHalfOpen: true });
    const toServer = net.connect({ port: behindPort, host: "127.0.0.1", allowHalfOpen: true });
    const [[toClient], [server]] = await Promise.all(accepted) as [[Socket], [Socket]];
    await Promise.all([client, toServer].map((socket) => {
      return socket.connecting ? once(socket, "connect") : null;
    }));
    return new Proxied([client, server, toClient, toServer], [behind, before]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const sockets = [this.client, this.server, this.toClient, this.toServer];
    const closed = sockets.map((socket) => socket.closed || once(socket, "close"));
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
    for (const listener of this.#listeners) listener.close();
  }
}

/** Reads what comes until `length` bytes are there. */
async function read(socket: Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let count = 0;
  const done = Promise.withResolvers<void>();
  const take = (chunk: Buffer) => {
    chunks.push(chunk);
    count += chunk.length;
    if (count >= length) done.resolve();
  };
  const broken = () => done.reject(new Error(`The end came after ${count} bytes`));
  socket.on("data", take).on("close", broken);
  await done.promise;
  socket.off("data", take).off("close", broken);
  return Buffer.concat(chunks);
}

/** A write and a read of one small message: by then the pipe has had its first chunk. */
async function roundTrip(from: Socket, to: Socket): Promise<void> {
  for (const text of ["one", "two"]) {
    const reading = read(to, text.length);
    from.write(text);
    assert.is(String(await reading), text);
  }
}

const OVER: readonly [string, Net][] = [["uringnet/net", ring as unknown as Net], [
  "node:net",
  native,
]];

for (const [name, net] of OVER) {
  test(`${name}: chunks of all sizes pass in both directions, in order`, async () => {
    await using proxied = await Proxied.open(net);
    const { client, server, toClient, toServer } = proxied;
    toClient.pipe(toServer).pipe(toClient);
    for (const length of [1, 60, 2_047, 2_048, 5_000, 65_536, 1_000_000, 3]) {
      const [up, down] = [contentOf(length, length), contentOf(length + 1, length)];
      const reading = [read(server, length), read(client, length)];
      client.write(up);
      server.write(down);
      const [upRead, downRead] = await Promise.all(reading);
      bytesEqual(upRead, up);
      bytesEqual(downRead, down);
    }
    assert.is(toServer.bytesWritten, toClient.bytesRead);
    assert.is(toClient.bytesWritten, toServer.bytesRead);
  });

  test(`${name}: small messages behind each other keep their order`, async () => {
    await using proxied = await Proxied.open(net);
    const { client, server, toClient, toServer } = proxied;
    toClient.pipe(toServer);
    const sent = contentOf(7, 60_000);
    const reading = read(server, sent.length);
    for (let at = 0; at < sent.length;) {
      const next = at + 1 + at % 300;
      client.write(sent.subarray(at, next));
      if (at % 7 === 0) toServer.write("");
      at = next;
      if (at % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    bytesEqual(await reading, sent);
  });

  test(`${name}: an end passes on as a half close, behind all bytes`, async () => {
    await using proxied = await Proxied.open(net);
    const { client, server, toClient, toServer } = proxied;
    toClient.pipe(toServer).pipe(toClient);
    await roundTrip(client, server);
    const sent = contentOf(1, 300_000);
    const reading = read(server, sent.length);
    const ended = once(server, "end");
    client.end(sent);
    bytesEqual(await reading, sent);
    await ended;
    const answer = read(client, 6);
    server.end("answer");
    assert.is(String(await answer), "answer");
    if (!client.readableEnded) await once(client, "end");
  });

  test(`${name}: a source waits for a target whose peer does not read`, async () => {
    await using proxied = await Proxied.open(net);
    const { client, server, toClient, toServer } = proxied;
    toClient.pipe(toServer);
    await roundTrip(client, server);
    server.pause();
    const sent = Buffer.alloc(64 << 20, "0123456789");
    client.write(sent);
    // The pipe pauses its source only when its target is full.
    while (!toClient.isPaused()) await once(toClient, "pause");
    const held = toClient.bytesRead;
    assert.ok(held < sent.length, `${held} bytes were taken`);
    const reading = read(server, sent.length);
    server.resume();
    bytesEqual(await reading, sent);
  });

  test(`${name}: bytes behind unpipe() go to the listener that is left`, async () => {
    await using proxied = await Proxied.open(net);
    const { client, server, toClient, toServer } = proxied;
    toClient.pipe(toServer);
    await roundTrip(client, server);
    toClient.unpipe(toServer);
    const reading = read(toClient, 5);
    toClient.resume();
    client.write("after");
    assert.is(String(await reading), "after");
    assert.is(toServer.bytesWritten, 6);
  });

  test(`${name}: a target that is destroyed leaves its source without a pipe`, async () => {
    await using proxied = await Proxied.open(net);
    const { client, server, toClient, toServer } = proxied;
    toClient.pipe(toServer);
    await roundTrip(client, server);
    toServer.destroy();
    await once(toServer, "close");
    const reading = read(toClient, 5);
    toClient.resume();
    client.write("after");
    assert.is(String(await reading), "after");
  });

  test(`${name}: programs that look at the bytes see all of them`, async () => {
    await using proxied = await Proxied.open(net);
    const { client, server, toClient, toServer } = proxied;
    toClient.pipe(toServer);
    await roundTrip(client, server);
    const seen: string[] = [];
    const look = (chunk: Buffer) => void seen.push(`data ${chunk}`);
    toClient.on("data", look);
    await roundTrip(client, server);
    toClient.off("data", look);
    const write = toServer.write;
    toServer.write = function (this: Socket, chunk: Buffer) {
      seen.push(`write ${chunk}`);
      return write.call(this, chunk as never);
    } as never;
    await roundTrip(client, server);
    toServer.write = write;
    const emit = toClient.emit as (...all: unknown[]) => boolean;
    toClient.emit = function (this: Socket, event: string, ...rest: unknown[]) {
      if (event === "data") seen.push(`emit ${rest[0]}`);
      return emit.call(this, event, ...rest);
    } as never;
    await roundTrip(client, server);
    const wanted = ["data", "write", "emit"].flatMap((way) => [`${way} one`, `${way} two`]);
    assert.equal(seen, wanted);
  });
}

interface Handled {
  _handle: { forward(...range: unknown[]): boolean };
}

test("bytes of a pipe pass by the streams, and no buffer is left over", async () => {
  const pool = netNetwork().pool;
  const used = () => pool.stats().classes.reduce((sum, { allocated }) => sum + allocated, 0);
  const before = used();
  {
    await using proxied = await Proxied.open(OVER[0][1]);
    const { client, server, toClient, toServer } = proxied;
    toClient.pipe(toServer);
    await roundTrip(client, server);
    const handle = (toServer as unknown as Handled)._handle;
    const { forward } = handle;
    let forwarded = 0;
    handle.forward = (...range) => {
      forwarded += (range[2] as number) - (range[1] as number);
      return forward.apply(handle, range);
    };
    const sent = contentOf(3, 200_000);
    const reading = read(server, sent.length);
    client.write(sent);
    bytesEqual(await reading, sent);
    assert.is(forwarded, sent.length);
  }
  while (netNetwork().stats().connections > 0) await new Promise((r) => setTimeout(r, 1));
  assert.ok(used() <= before, `${used()} buffers are in use, ${before} were before`);
});

test.run();

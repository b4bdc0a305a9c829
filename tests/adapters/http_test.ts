/**
 * Servers of `node:http` over sockets of this library and over the runtime's own, with requests
 * that are written byte by byte. In Deno, requests and short answers pass by the stream.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import http from "node:http";
import native, { type AddressInfo, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import ring from "../../src/adapters/net.ts";
import { denoHttpEnd } from "../../src/adapters/deno_http_end.ts";
import { assert, suite } from "../harness.ts";

const test = suite("adapters/http", {}, { timeoutMs: 60_000 });
const inBun = "Bun" in globalThis;

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** A server of `node:http` whose sockets come from `net`. */
class Web implements AsyncDisposable {
  readonly http: http.Server;
  readonly #listener: Server;
  readonly sockets: Socket[] = [];

  private constructor(net: typeof native, handler: Handler, options: http.ServerOptions) {
    this.http = http.createServer(options, handler);
    // An http.Server that never listened closes each connection after one answer in Deno.
    if (!inBun) (this.http as unknown as { _handle: object })._handle = { close: () => {} };
    this.#listener = net.createServer((socket) => {
      this.sockets.push(socket);
      this.http.emit("connection", socket);
    });
  }

  static async start(
    net: typeof native,
    handler: Handler,
    options: http.ServerOptions = {},
  ): Promise<Web> {
    const web = new Web(net, handler, options);
    web.#listener.listen(0, "127.0.0.1");
    await once(web.#listener, "listening");
    return web;
  }

  /** A client without a parser. */
  async connect(): Promise<Client> {
    const { port } = this.#listener.address() as AddressInfo;
    const socket = native.connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new Client(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#listener.close();
    await once(this.#listener, "close");
  }
}

/** Keeps all received text. */
class Client {
  readonly socket: Socket;
  text = "";
  closed = false;
  #change = Promise.withResolvers<void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
      this.#changed();
    });
    socket.on("data", (chunk) => {
      this.text += chunk.toString("latin1");
      this.#changed();
    });
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  /** Waits until the text is as wanted, or fails when the connection ends before. */
  async until(wanted: (text: string) => boolean): Promise<string> {
    while (!wanted(this.text)) {
      if (this.closed) throw new Error(`The connection ended behind: ${this.text.slice(0, 400)}`);
      await this.#change.promise;
    }
    return this.text;
  }

  async end(): Promise<void> {
    while (!this.closed) await this.#change.promise;
  }
}

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: here\r\n\r\n`;
}

function bodies(text: string): string[] {
  return text.split("HTTP/1.1 ").slice(1).map((answer) => answer.split("\r\n\r\n")[1]);
}

const OVER: readonly [string, typeof native][] = [
  ["uringnet/net", ring as unknown as typeof native],
  ["node:net", native],
];

for (const [name, net] of OVER) {
  test(`${name}: requests of one packet, and of single bytes, are answered in order`, async () => {
    await using web = await Web.start(net, (request, response) => response.end(request.url));
    const client = await web.connect();
    client.socket.write(get("/1") + get("/2") + get("/3"));
    await client.until((text) => bodies(text).at(-1) === "/3");
    for (const char of get("/4")) {
      client.socket.write(char);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const text = await client.until((text) => bodies(text).at(-1) === "/4");
    assert.equal(bodies(text), ["/1", "/2", "/3", "/4"]);
    client.socket.destroy();
  });

  test(`${name}: texts of all kinds and a body arrive as they were written`, async () => {
    const texts = ["", "short", "größer", "x".repeat(3_000), "é".repeat(40_000)];
    await using web = await Web.start(net, async (request, response) => {
      let body = "";
      for await (const chunk of request.setEncoding("utf8")) body += chunk;
      response.end(texts[Number(request.url?.slice(1))] + body);
    });
    const client = await web.connect();
    for (const [index, text] of texts.entries()) {
      client.text = "";
      const body = index % 2 === 0 ? "" : "body";
      client.socket.write(
        `POST /${index} HTTP/1.1\r\nHost: here\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      const wanted = Buffer.from(text + body).toString("latin1");
      await client.until((answer) => answer.endsWith(`\r\n\r\n${wanted}`));
      assert.match(client.text, new RegExp(`content-length: ${wanted.length}\r\n`, "i"));
    }
    client.socket.destroy();
  });

  test(`${name}: a response finishes once, in the context of its request`, async () => {
    const storage = new AsyncLocalStorage<string>();
    const finished: unknown[] = [];
    await using web = await Web.start(net, (request, response) => {
      storage.run(request.url as string, () => {
        response.on("finish", () => finished.push(storage.getStore()));
        response.end("text");
      });
    });
    const client = await web.connect();
    for (const path of ["/1", "/2", "/3"]) {
      client.text = "";
      client.socket.write(get(path));
      await client.until((text) => text.endsWith("text"));
    }
    client.socket.destroy();
    await client.end();
    assert.equal(finished, ["/1", "/2", "/3"]);
  });

  test(`${name}: bytes that are no request get 400, and clientError has them`, async () => {
    await using web = await Web.start(net, (_, response) => response.end("text"));
    const packets: string[] = [];
    web.http.on("clientError", (error: Error & { rawPacket?: Buffer }, socket: Duplex) => {
      packets.push(String(error.rawPacket));
      socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    const client = await web.connect();
    client.socket.write(get("/1"));
    await client.until((text) => text.endsWith("text"));
    client.socket.write("no request at all\r\n\r\n");
    await client.until((text) => text.includes("400 Bad Request"));
    await client.end();
    assert.equal(packets, ["no request at all\r\n\r\n"]);
  });

  test(`${name}: an upgrade has the bytes behind the request, and the socket goes on`, async () => {
    await using web = await Web.start(net, (_, response) => response.end("text"));
    web.http.on("upgrade", (_request, socket: Duplex, head: Buffer) => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n${head}`);
      socket.on("data", (chunk) => socket.write(chunk));
    });
    const client = await web.connect();
    client.socket.write(get("/1"));
    await client.until((text) => text.endsWith("text"));
    client.socket.write(
      "GET / HTTP/1.1\r\nHost: here\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhead",
    );
    await client.until((text) => text.endsWith("head"));
    client.socket.write("tail");
    await client.until((text) => text.endsWith("headtail"));
    client.socket.destroy();
  });

  test(`${name}: a handler that destroys its socket ends that connection alone`, async () => {
    await using web = await Web.start(net, (request, response) => {
      if (request.url === "/end") request.socket.destroy();
      response.end("text");
    });
    const [first, second] = [await web.connect(), await web.connect()];
    for (const client of [first, second]) {
      client.socket.write(get("/1"));
      await client.until((text) => text.endsWith("text"));
    }
    first.socket.write(get("/end"));
    await first.end();
    second.text = "";
    second.socket.write(get("/2"));
    await second.until((text) => text.endsWith("text"));
    second.socket.destroy();
  });

  test(`${name}: a text for a peer that does not read finishes behind the peer`, async () => {
    const large = "x".repeat(24_000_000);
    let finishedCount = 0;
    await using web = await Web.start(net, (request, response) => {
      if (request.url !== "/large") return void response.end("text");
      response.on("finish", () => finishedCount++);
      response.end(large);
    });
    const [slow, other] = [await web.connect(), await web.connect()];
    slow.socket.pause();
    slow.socket.write(get("/large"));
    for (let i = 0; i < 20; i++) {
      other.text = "";
      other.socket.write(get("/small"));
      await other.until((text) => text.endsWith("text"));
    }
    assert.is(finishedCount, 0);
    slow.socket.resume();
    await slow.until((text) => text.length > large.length);
    slow.text = "";
    slow.socket.write(get("/small"));
    await slow.until((text) => text.endsWith("text"));
    assert.is(finishedCount, 1);
    slow.socket.destroy();
    other.socket.destroy();
  });
}

test("another listener of 'data' sees what the server sees", async () => {
  await using web = await Web.start(OVER[0][1], (request, response) => response.end(request.url));
  const client = await web.connect();
  client.socket.write(get("/1"));
  await client.until((text) => text.endsWith("/1"));
  const seen: string[] = [];
  web.sockets[0].on("data", (chunk) => seen.push(String(chunk)));
  client.socket.write(get("/2"));
  await client.until((text) => text.endsWith("/2"));
  assert.equal(seen, [get("/2")]);
  client.socket.destroy();
});

test("a paused socket keeps what arrives, and the server gets it behind the pause", async () => {
  await using web = await Web.start(OVER[0][1], (request, response) => response.end(request.url));
  const client = await web.connect();
  client.socket.write(get("/1"));
  await client.until((text) => text.endsWith("/1"));
  const [socket] = web.sockets;
  socket.pause();
  client.socket.write(get("/2"));
  while (socket.readableLength === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  client.socket.write(get("/3"));
  socket.resume();
  const text = await client.until((text) => text.endsWith("/3"));
  assert.equal(bodies(text), ["/1", "/2", "/3"]);
  client.socket.destroy();
});

test.skipIf(
  inBun ? "Bun's own sockets pass their bytes by the stream, too" : null,
  "in Deno, requests and short texts pass by the stream",
  async () => {
    await using web = await Web.start(OVER[0][1], (request, response) => response.end(request.url));
    const client = await web.connect();
    client.socket.write(get("/1"));
    await client.until((text) => text.endsWith("/1"));
    const [socket] = web.sockets;
    const calls: string[] = [];
    socket.push = () => void calls.push("push") as never;
    socket.write = () => void calls.push("write") as never;
    client.socket.write(get("/2"));
    await client.until((text) => text.endsWith("/2"));
    assert.equal(calls, []);
    assert.is(denoHttpEnd.isKnown(), true);
    client.socket.destroy();
  },
);

test.skipIf(
  inBun ? "Bun has no such times for emitted connections" : null,
  "a request that does not end times out, and a connection that waits for one does not",
  async () => {
    const times = { headersTimeout: 500, requestTimeout: 500, connectionsCheckingInterval: 50 };
    await using web = await Web.start(OVER[0][1], (_, response) => response.end("text"), times);
    // The server checks its connections from then on.
    web.http.emit("listening");
    const [idle, slow] = [await web.connect(), await web.connect()];
    for (const client of [idle, slow]) {
      client.socket.write(get("/"));
      await client.until((text) => text.endsWith("text"));
    }
    slow.socket.write("GET / HTTP/1.1\r\nHost: here\r\n");
    await slow.until((text) => text.includes("408 Request Timeout"));
    await slow.end();
    idle.text = "";
    idle.socket.write(get("/"));
    await idle.until((text) => text.endsWith("text"));
    idle.socket.destroy();
    web.http.close();
  },
);

test.run();

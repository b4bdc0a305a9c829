/**
 * A random program over `node:net`: up to four connections at a time, each between two ends
 * (`net_end.ts`), some through a relay of two sockets that are piped into each other.
 *
 * @module
 */
import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import type * as NodeNet from "node:net";
import { Random } from "../harness/random.ts";
import { type Disruption, NetEnd } from "./net_end.ts";

export type Net = typeof NodeNet;

const DISRUPTIONS: readonly Disruption[] = ["destroy", "error", "reset", "break", "destroySoon"];

/** The program of a seed. */
export class NetProgram {
  readonly #lines: Line[] = [];

  /** `waits`: no end half closes before it has all bytes, as Deno's sockets need it. */
  constructor(net: Net, seed: number, waits: boolean) {
    const random = new Random(seed);
    for (let lane = random.int(1, 4); lane > 0; lane--) {
      this.#lines.push(new Line(net, random.fork(), 2 * lane, waits));
    }
  }

  /** Rejects when a promise of `node:net` is broken. */
  async play(): Promise<void> {
    await Promise.all(this.#lines.map((line) => line.play()));
  }

  /** The events of each end. */
  toString(): string {
    return this.#lines.join("\n");
  }
}

/** One connection, its server, and perhaps a relay in the middle. */
class Line {
  readonly #client: NetEnd;
  readonly #server: NetEnd;
  readonly #random: Random;
  readonly #relayed: boolean;
  readonly #allowHalfOpen: boolean;
  readonly #early: boolean;
  readonly #log: string[] = [];
  #relay: Relay | null = null;

  constructor(readonly net: Net, random: Random, lane: number, waits: boolean) {
    this.#random = random;
    const calm = random.chance(0.6);
    this.#relayed = random.chance(0.25);
    this.#early = !calm && random.chance(0.15);
    this.#allowHalfOpen = this.#relayed || random.chance(0.6);
    const who = random.int(0, 2);
    const end = (name: string, sends: number, receives: number, breaks: boolean) =>
      new NetEnd({
        name,
        sends,
        receives,
        random: random.fork(),
        allowHalfOpen: this.#allowHalfOpen,
        disruption: !calm && breaks ? random.pick(DISRUPTIONS) : null,
        calm,
        waits,
      });
    this.#client = end(`client ${lane}`, lane, lane + 1, who !== 1);
    this.#server = end(`server ${lane}`, lane + 1, lane, who !== 0);
    this.#client.peer = this.#server;
    this.#server.peer = this.#client;
  }

  toString(): string {
    return [...this.#log, this.#client, this.#server, this.#relay?.log ?? "no relay"].join("\n");
  }

  async play(): Promise<void> {
    const { net } = this;
    const random = this.#random;
    const allowHalfOpen = this.#allowHalfOpen;
    const pauseOnConnect = random.chance(0.3);
    const server = net.createServer({ allowHalfOpen, pauseOnConnect });
    if (random.chance(0.1)) server.unref();
    const accepted = new Promise<void>((resolve) => {
      server.on("connection", (socket) => {
        this.#server.begin(socket);
        resolve();
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    let port = (server.address() as AddressInfo).port;
    const relay = this.#relay = this.#relayed ? await Relay.open(net, port, random.fork()) : null;
    if (relay !== null) port = relay.port;
    this.#client.begin(this.#connect(port, allowHalfOpen));
    const closed = this.#serverCloses(server);
    if (this.#early) this.#client.socket!.destroy();
    await Promise.race([accepted, this.#client.closed]);
    const closesEarly = random.chance(0.5) && this.#server.socket !== null;
    if (closesEarly) server.close();
    await this.#client.closed;
    // A peer that has gone may be accepted later, or never.
    if (!closesEarly) server.close();
    if (relay !== null) await relay.close();
    await closed;
    if (this.#server.socket !== null) await this.#server.closed;
    for (const end of [this.#client, this.#server]) {
      end.judge();
      if (!this.#relayed) end.judgePeer();
    }
  }

  #connect(port: number, allowHalfOpen: boolean): Socket {
    const { net } = this;
    const host = "127.0.0.1";
    if (this.#random.chance(0.5)) return net.connect({ port, host, allowHalfOpen });
    return new net.Socket({ allowHalfOpen }).connect(port, host);
  }

  async #serverCloses(server: Server): Promise<void> {
    await once(server, "close");
    this.#log.push("the server is closed");
    const { socket } = this.#server;
    if (socket !== null && !socket.destroyed) this.#server.fail("server's 'close' came before");
    if (server.listening) this.#server.fail("a closed server that listens");
  }
}

/** A server that pipes each connection to another port, and back. */
class Relay {
  readonly #closed: Promise<void>;
  readonly log: string[] = [];
  readonly #sockets: Promise<void>[] = [];
  readonly #server: Server;

  private constructor(net: Net, target: number, random: Random) {
    this.#server = net.createServer({ allowHalfOpen: true }, (front) => {
      const back = net.connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
      this.#join("front", front, back, random);
      this.#join("back", back, front, random);
      front.pipe(back);
      back.pipe(front);
      for (const [from, to] of [[front, back], [back, front]]) this.#disturb(from, to, random);
    });
    this.#closed = once(this.#server, "close").then(async () => {
      this.log.push("the server is closed");
      await Promise.all(this.#sockets);
    });
  }

  static async open(net: Net, target: number, random: Random): Promise<Relay> {
    const relay = new Relay(net, target, random);
    await once(relay.#server.listen(0, "127.0.0.1"), "listening");
    return relay;
  }

  /** Resolves when the server and its sockets are closed. */
  close(): Promise<void> {
    this.#server.close();
    return this.#closed;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** A socket that breaks off takes the other one with it. */
  #join(name: string, socket: Socket, other: Socket, random: Random): void {
    for (const event of ["connect", "end", "finish", "error", "close"]) {
      socket.on(event, () => this.log.push(`${name} ${event}`));
    }
    if (random.chance(0.3)) socket.setNoDelay();
    this.#sockets.push(
      new Promise((resolve, reject) => {
        let closeCount = 0;
        socket.on("close", () => {
          if (++closeCount > 1) reject(new Error("a socket of a relay closed twice"));
          if (!socket.readableEnded || !socket.writableFinished) other.destroy();
          setTimeout(resolve, 2);
        });
      }),
    );
  }

  /** Changes of the way that bytes take through a pipe, all without a loss. */
  #disturb(from: Socket, to: Socket, random: Random): void {
    if (!random.chance(0.6)) return;
    const kind = random.int(0, 3);
    setTimeout(() => {
      if (from.destroyed || to.destroyed || from.readableEnded) return;
      if (kind === 0) from.on("data", () => {});
      else if (kind === 1) to.cork();
      else {
        from.unpipe(to);
        if (kind === 2) from.pause();
      }
      setTimeout(() => {
        if (kind === 1) to.uncork();
        if (kind < 2) return;
        // An end that came while there was no pipe is not passed on by itself.
        if (from.readableEnded) to.end();
        else if (!from.destroyed) from.pipe(to);
      }, random.int(0, 4));
    }, random.int(0, 6));
  }
}

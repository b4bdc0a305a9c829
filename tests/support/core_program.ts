/**
 * A random program over the core: calls of both halves of a connection in random order, with
 * budgets and signals that end them, and perhaps an end in the middle, against a model of the bytes
 * of each direction (`byte_model.ts`).
 *
 * - Nothing is lost and nothing comes twice, whatever ends a call: what fails consumes nothing.
 * - A clean end of the stream comes after every byte that has left.
 * - Afterwards the network has every buffer and no connection.
 *
 * @module
 */
import {
  type CallOptions,
  type Connection,
  IoBuf,
  IoBufs,
  type Listener,
  Network,
  type NetworkConfig,
  NetworkError,
  type Sendable,
} from "../../mod.ts";
import { Random } from "../harness/random.ts";
import { ByteModel, type SentMessage, textOf } from "./byte_model.ts";

const inDeno = "Deno" in globalThis;
const NEW_LINE = 10;

/** Kinds of receiving calls; those that overlap each take what they get in one step. */
const OVERLAPPING = ["recvSome", "recvSome within", "recv", "recvUntil"] as const;
const KINDS = [...OVERLAPPING, "wait", "tryRecv", "lines"] as const;
type Kind = typeof KINDS[number];

/** The reason of this program's own aborts. */
const ABORTED = new Error("aborted by the program");

/** Draws everything but the backend. */
function drawConfig(random: Random, backend: "io_uring" | "portable"): NetworkConfig {
  return {
    backend,
    readBufferSize: random.pick([0, 1_000, 4_096, 65_536, 65_536]),
    writeBufferSize: random.pick([0, 0, 0, 5_000, 100_000]),
    ring: { topology: random.pick(["shared", "split"]) },
    pool: { debug: true, maxPerClass: random.pick([1, 4, 64, 4_096]) },
    shutdownTimeoutMs: null,
  };
}

export class CoreProgram {
  readonly #random: Random;
  readonly #config: NetworkConfig;
  readonly #lines: Line[] = [];
  #network: Network | null = null;

  constructor(readonly seed: number, backend: "io_uring" | "portable") {
    this.#random = new Random(seed);
    this.#config = drawConfig(this.#random, backend);
  }

  /** Rejects when anything is wrong. */
  async play(): Promise<void> {
    const network = this.#network = await Network.start(this.#config);
    const random = this.#random;
    const listener = await network.bind("127.0.0.1:0");
    const played: Promise<void>[] = [];
    for (let key = random.int(1, 4); key > 0; key--) {
      const [client, server] = await connect(network, listener, random);
      const line = new Line(network, client, server, this.#config, random.fork(), key);
      this.#lines.push(line);
      played.push(line.play());
    }
    await Promise.all(played);
    const { connections, inboundBytes, outboundBytes } = network.stats();
    await network.close();
    check(connections === 0, `${connections} connections are left`);
    const { classes, leaked } = network.pool.stats();
    const held = classes.reduce((sum, { allocated }) => sum + allocated, 0);
    check(held === 0 && leaked === 0, `${held} buffers are left, ${leaked} leaked`);
    check(inboundBytes <= outboundBytes, `${inboundBytes} bytes in, ${outboundBytes} out`);
  }

  toString(): string {
    const stats = JSON.stringify(this.#network?.stats());
    return [JSON.stringify(this.#config), stats, ...this.#lines].join("\n");
  }
}

/** An accept that has run out of time loses no connection. */
async function connect(
  network: Network,
  listener: Listener,
  random: Random,
): Promise<[Connection, Connection]> {
  const hasty = random.chance(0.3) ? listener.accept({ timeoutMs: 0 }) : null;
  const dialed = network.dial(listener.localAddress);
  const server = await (hasty?.catch(() => listener.accept()) ?? listener.accept());
  return [await dialed, server];
}

function check(holds: boolean, claim: string): asserts holds {
  if (!holds) throw new Error(claim);
}

/** One connection: two writers, two readers, and perhaps an end in the middle. */
class Line {
  readonly #halves: [Half, Half];
  readonly #random: Random;
  readonly #calm: boolean;

  constructor(
    network: Network,
    readonly client: Connection,
    readonly server: Connection,
    config: NetworkConfig,
    random: Random,
    key: number,
  ) {
    this.#random = random;
    this.#calm = random.chance(0.7);
    const disturbed = config.writeBufferSize === 0;
    this.#halves = [
      new Half(network, client, server, random.fork(), 1_000 * key, disturbed),
      new Half(network, server, client, random.fork(), 1_000 * key + 500, disturbed),
    ];
  }

  async play(): Promise<void> {
    const [there, back] = this.#halves;
    const random = this.#random;
    const writing = [there.write(), back.write()];
    const closing = this.#closes(writing);
    const reading = [there.read(), back.read()];
    if (!this.#calm) {
      await sleep(random.int(0, 12));
      const end = random.pick([this.client, this.server]);
      if (random.chance(0.5)) end.reset();
      else await end.close();
    }
    await Promise.all([...writing, closing, ...reading]);
    await Promise.all([this.client.close(), this.server.close()]);
    for (const half of this.#halves) half.judge(this.#calm);
  }

  /** Each direction ends by itself, except where the runtime cannot half close during a send. */
  async #closes(writing: Promise<void>[]): Promise<void> {
    const { backend } = this.#halves[0].network;
    if (inDeno && backend === "portable") {
      await Promise.all(writing);
      await Promise.all(
        this.#halves.map((half) => half.from.sink.flush().catch(onlyNetworkErrors)),
      );
    }
    await Promise.all(this.#halves.map(async (half, index) => {
      await writing[index];
      // The error of a buffered send, of which the end of the connection is the cause.
      await half.from.sink.close().catch((error) => check(!this.#calm, `close: ${error}`));
    }));
  }

  toString(): string {
    return `${this.#calm ? "calm" : "not calm"}:\n${this.#halves.join("\n")}`;
  }
}

/** One direction. */
class Half {
  readonly model = new ByteModel();
  #end: "clean" | "broken" | null = null;
  #over = false;
  #log: string[] = [];

  constructor(
    readonly network: Network,
    readonly from: Connection,
    readonly to: Connection,
    readonly random: Random,
    readonly key: number,
    readonly disturbed: boolean,
  ) {}

  toString(): string {
    const { sink } = this.from;
    const { stream } = this.to;
    const sending =
      `${sink.bytesSent} bytes left, ${sink.bytesQueued} queued, closed ${sink.closed}`;
    const receiving =
      `${stream.bytesReceived} came, ${stream.buffered} buffered, closed ${stream.closed}`;
    return `  ${this.key}: ${this.model}, end ${this.#end}\n    ${sending}; ${receiving}\n    ${
      this.#log.slice(-60).join("\n    ")
    }`;
  }

  judge(calm: boolean): void {
    const { bytesSent } = this.from.sink;
    const { model } = this;
    const fault = model.fault(this.#end === "clean");
    check(fault === null, `${this.key}: ${fault}`);
    if (calm) check(this.#end === "clean", `${this.key}: no clean end`);
    if (this.#end !== "clean") return;
    check(model.received === bytesSent, `${this.key}: ${model.received} of ${bytesSent} bytes`);
  }

  // --------------------------------------------------------------------------------- writing

  async write(): Promise<void> {
    const random = this.random.fork();
    const pending: Promise<void>[] = [];
    for (let count = random.int(0, 25); count > 0; count--) {
      const length = random.int(0, random.pick([10, 300, 5_000, 70_000, 200_000]));
      const sent = this.#send(textOf(this.key + count, length), random);
      if (random.chance(0.5)) pending.push(sent);
      else await sent;
      if (random.chance(0.2)) await sleep(random.int(0, 3));
      if (random.chance(0.1)) await this.from.sink.flush().catch(onlyNetworkErrors);
    }
    await Promise.all(pending);
  }

  async #send(bytes: Uint8Array, random: Random): Promise<void> {
    const message: SentMessage = { bytes, fate: "pending" };
    this.model.messages.push(message);
    try {
      const sent = this.from.sink.send(this.#form(bytes, random), this.#limits(random, 0.15));
      await sent;
      message.fate = "sent";
    } catch (error) {
      message.fate = error instanceof NetworkError ? { bytes: error.bytesDone } : "unknown";
      if (error !== ABORTED) onlyNetworkErrors(error);
    }
  }

  #form(bytes: Uint8Array, random: Random): Sendable {
    const text = () => new TextDecoder().decode(bytes);
    const half = bytes.length >>> 1;
    switch (random.int(0, 5)) {
      case 0:
        return text();
      case 1:
        return [bytes.subarray(0, half), bytes.subarray(half)];
      case 2: {
        const buffer = this.network.pool.alloc(bytes.length);
        buffer.bytes.set(bytes);
        return random.chance(0.5) ? buffer : buffer.freeze();
      }
      case 3:
        return new IoBufs(IoBuf.from(bytes.subarray(0, half)), bytes.subarray(half));
      default:
        return bytes;
    }
  }

  /** A budget or a signal, with this probability. */
  #limits(random: Random, probability: number): CallOptions {
    if (!this.disturbed || !random.chance(probability)) return {};
    if (random.chance(0.5)) return { timeoutMs: random.int(0, 6) };
    const controller = new AbortController();
    const abort = () => controller.abort(ABORTED);
    const kind = random.int(0, 3);
    if (kind === 0) abort();
    else if (kind === 1) queueMicrotask(abort);
    else setTimeout(abort, random.int(0, 4));
    return { signal: controller.signal };
  }

  // --------------------------------------------------------------------------------- reading

  async read(): Promise<void> {
    const random = this.random.fork();
    while (!this.#over) {
      if (random.chance(0.1)) await sleep(random.int(0, 3));
      const overlap = random.chance(0.25) ? random.int(2, 5) : 1;
      // Calls that overlap are served in order, so the bytes of the first one come first.
      const results = Array.from({ length: overlap }, () => this.#receive(random, overlap > 1));
      for (const result of results) {
        const bytes = await result;
        if (bytes !== null) this.#take(bytes);
      }
    }
    await this.#drain();
  }

  /** Buffered bytes stay readable after the end, which `recvSome` then tells. */
  async #drain(): Promise<void> {
    try {
      for (let some; (some = await this.to.stream.recvSome()) !== null;) {
        this.#take(some.toUint8Array());
      }
      this.#end = "clean";
    } catch (error) {
      onlyNetworkErrors(error);
      this.#end = "broken";
    }
  }

  #take(bytes: Uint8Array): void {
    this.model.take(bytes);
    const { buffered, bytesReceived } = this.to.stream;
    const known = this.model.received + buffered;
    check(known <= bytesReceived, `${known} of ${bytesReceived} bytes are here`);
  }

  /** One call; null when it brought nothing. */
  async #receive(random: Random, overlaps: boolean): Promise<Uint8Array | null> {
    const { stream } = this.to;
    const limits = { timeoutMs: 15, ...this.#limits(random, 0.3) };
    const length = random.int(1, random.pick([5, 100, 5_000, 100_000]));
    const kind = random.pick<Kind>(overlaps ? OVERLAPPING : KINDS);
    this.#log.push(`${kind} ${length} ${Object.keys(limits).join()}`);
    try {
      switch (kind) {
        case "recvSome":
          return (await stream.recvSome(length))?.toUint8Array() ?? this.#ended();
        case "recvSome within":
          return (await stream.recvSome(undefined, limits))?.toUint8Array() ?? this.#ended();
        case "recv":
          return (await stream.recv(length, limits)).toUint8Array();
        case "recvUntil": {
          const maxLength = random.int(1, 2_000);
          return (await stream.recvUntil(NEW_LINE, { ...limits, maxLength })).toUint8Array();
        }
        case "wait":
          return await this.#wait(length, limits, random);
        case "tryRecv":
          return this.#tryRecv(length);
        case "lines":
          return await this.#line(limits);
      }
    } catch (error) {
      this.#log.push(`${error instanceof NetworkError ? error.code : error}`);
      if (error === ABORTED) return null;
      onlyNetworkErrors(error);
      const { code } = error as NetworkError;
      return code === "Timeout" || code === "TooLong" ? null : this.#ended();
    }
  }

  #ended(): null {
    this.#over = true;
    return null;
  }

  async #wait(length: number, limits: CallOptions, random: Random): Promise<Uint8Array | null> {
    const { stream } = this.to;
    if (!await stream.wait(length, limits)) return this.#ended();
    const count = random.int(1, length);
    const start = stream.peek(count).slice();
    check(start.length === count, `peek(${count}) after wait(${length}) shows ${start.length}`);
    if (random.chance(0.5)) {
      stream.consume(count);
      return start;
    }
    const bytes = stream.tryRecv(count)?.toUint8Array();
    check(bytes?.length === count, `tryRecv(${count}) after wait(${length}) has no bytes`);
    check(start.every((byte, i) => byte === bytes![i]), "peek and tryRecv differ");
    return bytes!;
  }

  #tryRecv(length: number): Uint8Array | null {
    const { stream } = this.to;
    const { buffered } = stream;
    const bytes = stream.tryRecv(length)?.toUint8Array() ?? null;
    check((bytes !== null) === (buffered >= length), `tryRecv(${length}) of ${buffered}`);
    check(stream.buffered === buffered - (bytes?.length ?? 0), "tryRecv and buffered");
    return bytes;
  }

  async #line(limits: CallOptions): Promise<Uint8Array | null> {
    const { stream } = this.to;
    for await (const line of stream.lines({ ...limits, maxLength: 3_000 })) {
      const bytes = new TextEncoder().encode(`${line}\n`);
      // The last line may have no line break.
      const there = this.model.received + bytes.length <= stream.bytesReceived;
      return there ? bytes : bytes.subarray(0, -1);
    }
    return this.#ended();
  }
}

function onlyNetworkErrors(error: unknown): void {
  if (!(error instanceof NetworkError)) throw error;
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/**
 * Requests through the balancer, one after the other on each of many connections, until told to
 * stop. Each answer is compared: the body is the request's own backwards, and the balancer has told
 * the address of this very connection.
 *
 * Not a request is repeated. The only end of a connection that is no loss is the one that an answer
 * has announced.
 *
 * @module
 */
import { formatAddress } from "../../src/net/address/address.ts";
import type { Connection, Network } from "../../mod.ts";

const CONNECTIONS = 32;
/** Then the connection is closed and another one made: accepting is under load, too. */
const REQUESTS_PER_CONNECTION = 100;
const ANSWER_MS = 30_000;
/** More of them are not of interest. */
const COMPLAINTS_MAX = 10;

export class Load implements AsyncDisposable {
  answered = 0;
  failed = 0;
  readonly complaints: string[] = [];
  readonly #network: Network;
  readonly #address: string;
  readonly #ended: Promise<unknown>;
  #sent = 0;
  #stopping = false;
  #wanted: { count: number; resolve: () => void } | null = null;

  /** Begins at once. */
  constructor(network: Network, address: string) {
    this.#network = network;
    this.#address = address;
    this.#ended = Promise.all(Array.from({ length: CONNECTIONS }, () => this.#run()));
  }

  /** Resolves when every request that was sent is answered or has failed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#ended;
  }

  /** Resolves when so many requests have been answered rightly or not, in all. */
  async whenAnswered(count: number): Promise<void> {
    if (this.answered + this.failed >= count) return;
    await new Promise<void>((resolve) => this.#wanted = { count, resolve });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        await using connection = await this.#network.dial(this.#address);
        await this.#converse(connection);
      } catch (error) {
        this.#complain(String(error));
      }
    }
  }

  async #converse(connection: Connection): Promise<void> {
    const own = formatAddress(connection.localAddress);
    for (let i = 0; i < REQUESTS_PER_CONNECTION && !this.#stopping; i++) {
      const body = `request ${this.#sent++} of ${own}`;
      const head = `POST /reverse HTTP/1.1\r\nhost: fleet\r\ncontent-length: ${body.length}`;
      await connection.sink.send(`${head}\r\n\r\n${body}`);
      const stays = await this.#answer(connection, body, own);
      if (!stays) return;
    }
  }

  /** Whether the connection stays open. */
  async #answer({ stream }: Connection, body: string, own: string): Promise<boolean> {
    const options = { timeoutMs: ANSWER_MS };
    const head = (await stream.recvUntil("\r\n\r\n", options)).text();
    const length = Number(/^content-length: (\d+)\r$/im.exec(head)?.[1]);
    const answer = (await stream.recv(length, options)).text();
    const isRight = head.startsWith("HTTP/1.1 200 ") && head.includes(`x-client: ${own}\r\n`) &&
      answer === [...body].reverse().join("");
    if (isRight) this.#note("answered");
    else this.#complain(`asked ${JSON.stringify(body)}, got ${JSON.stringify(head + answer)}`);
    return !/^connection: close\r$/im.test(head);
  }

  #note(outcome: "answered" | "failed"): void {
    this[outcome]++;
    if (this.#wanted === null || this.answered + this.failed < this.#wanted.count) return;
    this.#wanted.resolve();
    this.#wanted = null;
  }

  #complain(complaint: string): void {
    this.#note("failed");
    if (this.complaints.length < COMPLAINTS_MAX) this.complaints.push(complaint);
  }
}

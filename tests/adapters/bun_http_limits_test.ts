/**
 * The time limits of `node:http` in Bun, over stand-ins for sockets and requests.
 *
 * @module
 */
import { EventEmitter } from "node:events";
import { cpuUsage } from "node:process";
import { BunHttpLimits, type LimitedServer } from "../../src/adapters/register/bun_http_limits.ts";
import type { NetSocket } from "../../src/adapters/register/node_modules.ts";
import { assert, suite } from "../harness.ts";

const test = suite("bun http limits");

/** The members of a socket that the limits use. */
class StandIn extends EventEmitter {
  destroyed = false;
  readonly bytesRead = 0;
  readonly timeoutsMs: number[] = [];

  setTimeout(timeoutMs: number): void {
    this.timeoutsMs.push(timeoutMs);
  }
}

function connected(fields: object): [BunHttpLimits, NetSocket, StandIn] {
  const server: LimitedServer = Object.assign(new EventEmitter(), fields);
  const limits = new BunHttpLimits(server);
  const standIn = new StandIn();
  const socket = standIn as unknown as NetSocket;
  limits.add(socket, false);
  return [limits, socket, standIn];
}

/** A search among the earlier requests took 12 s of CPU time for this many. */
const REQUEST_COUNT = 60_000;
const CPU_MICROS_MAX = 5_000_000;

test("a request of a pipeline costs the same however many wait for their answers", () => {
  const [limits, socket] = connected({});
  const answers: EventEmitter[] = [];
  const start = cpuUsage();
  for (let i = 0; i < REQUEST_COUNT; i++) {
    const answer = new EventEmitter();
    limits.request(socket, Object.assign(new EventEmitter(), { complete: true }), answer);
    answers.push(answer);
  }
  for (const answer of answers) answer.emit("close");
  const { user, system } = cpuUsage(start);
  assert.ok(user + system < CPU_MICROS_MAX, `${user + system} us of CPU time`);
  limits.close();
});

test("a connection is idle once the last request of its pipeline is answered", () => {
  const [limits, socket, { timeoutsMs }] = connected({ timeout: 1, keepAliveTimeout: 2 });
  const answers = [new EventEmitter(), new EventEmitter()];
  for (const answer of answers) limits.request(socket, new EventEmitter(), answer);
  answers[0].emit("close");
  assert.equal(timeoutsMs, [1]);
  answers[1].emit("close");
  assert.equal(timeoutsMs, [1, 2]);
  limits.close();
});

test.run();

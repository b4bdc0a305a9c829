/**
 * Dials of names with several addresses on a fake kernel: the race of RFC 8305, its losers, its
 * errors, and what an end at any moment leaves behind.
 *
 * @module
 */
import type { NetworkError } from "../../src/base/network_error.ts";
import type { Listener } from "../../src/net/accept/listener.ts";
import { ConnectOperation } from "../../src/net/dial/connect_operation.ts";
import { SOCKET_OPTION } from "../../src/ring/port.ts";
import { assert, suite } from "../harness.ts";
import { outcomeOf } from "../support/pair.ts";
import { plantThrow } from "../support/planted_throw.ts";
import { seedCount } from "../support/seed_count.ts";
import { Sim, type SimNetwork } from "../support/sim.ts";

const test = suite("sim/dial");

/** An address that answers, one that refuses, and one that says nothing for a long time. */
type Fate = "listens" | "refuses" | "silent";

interface World {
  sim: Sim;
  network: SimNetwork;
  listeners: Map<string, Listener>;
}

function addressOf(index: number): { address: string; family: 4 | 6 } {
  return index % 2 === 0
    ? { address: `10.0.0.${index + 1}`, family: 4 }
    : { address: `fd00::${index + 1}`, family: 6 };
}

function textOf(index: number): string {
  const { address, family } = addressOf(index);
  return family === 6 ? `[${address}]:80` : `${address}:80`;
}

/** "name" has an address of each of these fates, IPv4 and IPv6 in turn. */
async function withFates(
  fates: readonly Fate[],
  body: (world: World) => Promise<void>,
  seed = 1,
): Promise<void> {
  const sim = new Sim({ seed });
  sim.host.names.set("name", fates.map((_, index) => addressOf(index)));
  await sim.run(async () => {
    const network = sim.open();
    const listeners = new Map<string, Listener>();
    const fillers: Promise<unknown>[] = [];
    for (const [index, fate] of fates.entries()) {
      if (fate === "refuses") continue;
      const listener = await network.bind(textOf(index), { backlog: fate === "silent" ? 1 : 16 });
      listeners.set(textOf(index), listener);
      // The one place of the backlog is taken, so no other connect is answered.
      if (fate === "silent") fillers.push(network.dial(textOf(index)).then((one) => one.reset()));
    }
    await Promise.all(fillers);
    await body({ sim, network, listeners });
    await network.close();
  });
  sim.checkNothingLeft();
}

test("an error inside the library ends the dial, and no other address is tried", async () => {
  for (const attemptDelayMs of [0, 40]) {
    await withFates(["listens", "listens"], async ({ sim, network }) => {
      using planted = plantThrow(ConnectOperation.prototype, "submit", "before");
      const end = await outcomeOf(network.dial("name:80", { attemptDelayMs }));
      assert.ok("error" in end && (end.error as Error).cause === planted.error);
      await sim.sleep(100);
      assert.is(network.stats().connections, 0);
    });
  }
});

test("an address that does not answer costs attemptDelayMs, not its budget", async () => {
  for (const options of [{}, { attemptDelayMs: 40 }]) {
    await withFates(["silent", "listens"], async ({ sim, network }) => {
      const start = sim.host.clockMs;
      const connection = await network.dial("name:80", options);
      const elapsed = sim.host.clockMs - start;
      const { attemptDelayMs: wanted = 250 } = options;
      assert.ok(elapsed >= wanted && elapsed < wanted + 30, `${elapsed} ms`);
      assert.equal(connection.remoteAddress, { hostname: "fd00::2", port: 80 });
      connection.reset();
      assert.is(network.context.meter.counts[1], 2, "the filler, and this one");
    });
  }
});

test("after a refusal the next address is tried at once", async () => {
  await withFates(["refuses", "refuses", "listens"], async ({ sim, network }) => {
    const start = sim.host.clockMs;
    const connection = await network.dial("name:80");
    assert.ok(sim.host.clockMs - start < 30);
    assert.equal(connection.remoteAddress, { hostname: "10.0.0.3", port: 80 });
    connection.reset();
  });
});

test("the first to connect wins, and the others are closed", async () => {
  await withFates(["listens", "listens", "listens"], async ({ sim, network, listeners }) => {
    let latency = 30;
    // The first attempt is the slowest.
    sim.kernel.options.latencyMs = () => latency -= 9;
    const connection = await network.dial("name:80", { attemptDelayMs: 0 });
    assert.equal(connection.remoteAddress, { hostname: "10.0.0.3", port: 80 });
    sim.kernel.options.latencyMs = () => 1;
    await sim.sleep(100);
    for (const [address, listener] of listeners) {
      const accepted = await outcomeOf(listener.accept({ timeoutMs: 20 }));
      // A loser had either not connected yet, or is ended before a byte.
      if (!("value" in accepted)) continue;
      const end = await outcomeOf(accepted.value.stream.recvSome(1, { timeoutMs: 50 }));
      const isWinner = address === "10.0.0.3:80";
      if (isWinner) assert.is((end as { error: NetworkError }).error.code, "Timeout");
      else assert.ok("error" in end || end.value === null);
      accepted.value.reset();
    }
    connection.reset();
  });
});

test("a failed dial has one error for each address, in their order", async () => {
  await withFates(["refuses", "refuses", "refuses"], async ({ network }) => {
    const { error } = await outcomeOf(network.dial("name:80")) as { error: NetworkError };
    assert.is(error.code, "ConnectionFailed");
    assert.is(error.errno, "ECONNREFUSED");
    assert.equal(
      error.errors.map(({ message }) => message),
      [0, 1, 2].map((index) =>
        `Cannot connect to name:80 (${textOf(index)}): connection refused (ECONNREFUSED)`
      ),
    );
    const one = await outcomeOf(network.dial("10.0.0.9:80")) as { error: NetworkError };
    assert.is(one.error.errors.length, 1);
    assert.is(one.error.errors[0].message, one.error.message);
    assert.equal(one.error.errors[0].errors, []);
  });
});

test("a dial that runs out of time has an error for each address, tried or not", async () => {
  await withFates(["refuses", "silent", "silent", "listens"], async ({ network }) => {
    const dial = network.dial("name:80", { timeoutMs: 100, attemptDelayMs: 60 });
    const { error } = await outcomeOf(dial) as { error: NetworkError };
    assert.is(error.code, "Timeout");
    assert.is((error.cause as NetworkError).errno, "ECONNREFUSED");
    assert.equal(error.errors.map(({ code }) => code), [
      "ConnectionFailed",
      "Timeout",
      "Timeout",
      "Timeout",
    ]);
  });
});

test("family chooses among the addresses; none of it is an error of its own", async () => {
  await withFates(["listens", "listens"], async ({ network, sim }) => {
    for (const [family, hostname] of [[4, "10.0.0.1"], [6, "fd00::2"]] as const) {
      const connection = await network.dial("name:80", { family });
      assert.equal(connection.remoteAddress, { hostname, port: 80 });
      connection.reset();
    }
    sim.host.names.set("four", [{ address: "10.0.0.1", family: 4 }]);
    for (const address of ["four:80", "10.0.0.1:80"]) {
      const { error } = await outcomeOf(network.dial(address, { family: 6 })) as {
        error: NetworkError;
      };
      assert.is(error.code, "ConnectionFailed");
      assert.is(error.errno, "EADDRNOTAVAIL");
      assert.match(error.message, /no address of IPv6/);
      assert.equal(error.errors, []);
    }
  });
});

test("localAddress: addresses of its family only; options are set before the connect", async () => {
  await withFates(["listens", "listens"], async ({ network, sim }) => {
    const connection = await network.dial("name:80", {
      localAddress: "[fd00::99]:0",
      userTimeoutMs: 4_000,
      sendBufferBytes: 9_999,
      trafficClass: 8,
    });
    assert.equal(connection.remoteAddress, { hostname: "fd00::2", port: 80 });
    const socket = sim.kernel.all.find(({ options }) =>
      options.get(SOCKET_OPTION.userTimeoutMs) === 4_000
    )!;
    assert.is(socket.options.get(SOCKET_OPTION.sendBuffer), 9_999);
    assert.is(socket.options.get(SOCKET_OPTION.trafficClass), 8);
    assert.is(socket.options.get(SOCKET_OPTION.noDelay), 1, "the network's own as well");
    connection.reset();
  });
});

test("attempts with any outcome and any end: the right result, nothing left", async () => {
  let won = 0;
  let failed = 0;
  let ended = 0;
  for (let seed = 1; seed <= seedCount(150); seed++) {
    const random = new Sim({ seed }).random;
    const count = random.int(1, 6);
    const fates = Array.from(
      { length: count },
      () => random.pick<Fate>(["listens", "refuses", "refuses", "silent"]),
    );
    await withFates(fates, async ({ sim, network }) => {
      const controller = new AbortController();
      const reason = new Error("never mind");
      const endsEarly = random.int(0, 2) === 0;
      const attemptDelayMs = random.pick([0, 5, 250]);
      const dialing = outcomeOf(
        network.dial("name:80", { signal: controller.signal, attemptDelayMs, timeoutMs: 3_000 }),
      );
      if (endsEarly) sim.host.at(random.float() * 20, () => controller.abort(reason));
      const end = await dialing;
      if ("value" in end) {
        won++;
        assert.ok(fates.includes("listens"), `seed ${seed}: ${fates}`);
        await end.value.close();
      } else if (end.error === reason) {
        ended++;
        assert.ok(endsEarly);
      } else {
        failed++;
        assert.not.ok(fates.includes("listens"), `seed ${seed}: ${fates}: ${end.error}`);
        assert.is((end.error as NetworkError).errors.length, fates.length);
      }
    }, seed);
  }
  assert.ok(won > 20 && failed > 10 && ended > 5, `${won} won, ${failed} failed, ${ended} ended`);
});

test.run();

/**
 * The fleet of examples/fleet under load: 100,000 requests while each process and each host is
 * replaced twice, and not one is lost, answered wrongly or repeated by the balancer. The same load
 * notices a process that is killed.
 *
 *   make test-fleet   installs what is missing, then runs this in both runtimes
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { Network } from "../../mod.ts";
import { assert, suite } from "../harness.ts";
import { Fleet } from "./fleet.ts";
import { Load } from "./load.ts";

const REQUESTS = 100_000;
const ROUNDS = 2;

const asked = process.env.URINGNET_CLIENTS === "1";
const installed = existsSync("/usr/sbin/haproxy");
const reason = asked && installed ? null : "make test-fleet installs and runs it";
const test = suite("fleet", {}, { timeoutMs: 600_000 });

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

/** The mended and the reported faults of haproxy, by columns of its statistics. */
async function troubles(fleet: Fleet): Promise<Record<string, number>> {
  const rows = await fleet.statistics();
  const columns = ["wretr", "wredis", "econ", "eresp", "hrsp_5xx"];
  return Object.fromEntries(
    columns.map((column) => [column, sum(rows.map((row) => Number(row[column] || 0)))]),
  );
}

const NONE = { wretr: 0, wredis: 0, econ: 0, eresp: 0, hrsp_5xx: 0 };

test.skipIf(reason, "100,000 requests while every process is replaced twice", async () => {
  await using network = await Network.start();
  await using fleet = await Fleet.start(network);
  await using load = new Load(network, fleet.address);
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(fleet.hosts.map((host) => host.replaceProcesses()));
    for (const host of fleet.hosts) await host.replaceItself();
  }
  await load.whenAnswered(REQUESTS);
  await load.stop();
  assert.equal(load.complaints, []);
  assert.is(load.failed, 0);
  assert.ok(load.answered >= REQUESTS, `${load.answered} answers`);
  assert.equal(await troubles(fleet), NONE);
});

test.skipIf(reason, "one scrape has all processes, the ended ones too", async () => {
  await using network = await Network.start();
  await using fleet = await Fleet.start(network);
  await using load = new Load(network, fleet.address);
  await load.whenAnswered(2_000);
  await Promise.all(fleet.hosts.map((host) => host.replaceProcesses()));
  await load.stop();
  const counted = await Promise.all(fleet.hosts.map((host) => host.metric("fleet_requests_total")));
  assert.is(sum(counted), load.answered);
  for (const count of counted) assert.ok(count > 0, "the balancer sends to both hosts");
  const name = "uringnet_inbound_connections_total";
  for (const host of fleet.hosts) assert.ok(await host.metric(name) > 0);
  for (const host of fleet.hosts) await host.stop();
});

test.skipIf(reason, "haproxy's own command drains a host, and no request is lost", async () => {
  await using network = await Network.start();
  await using fleet = await Fleet.start(network);
  const [blue] = fleet.hosts;
  await using load = new Load(network, fleet.address);
  await load.whenAnswered(1_000);
  // A host that has started says that it is ready, which ends a drain; later it only says "up".
  await blue.untilOnlyUp();
  assert.is((await fleet.command("set server fleet/blue state drain")).trim(), "");
  // Answers that were under way when the command came.
  await load.whenAnswered(load.answered + 500);
  const before = await blue.metric("fleet_requests_total");
  await load.whenAnswered(load.answered + 1_000);
  assert.is(await blue.metric("fleet_requests_total"), before, "a drained host gets none");
  assert.is((await fleet.command("set server fleet/blue state ready")).trim(), "");
  await load.stop();
  assert.equal(load.complaints, []);
  assert.equal(await troubles(fleet), NONE);
});

test.skipIf(reason, "a process that is killed is noticed", async () => {
  // So the first test can fail: the load and haproxy's columns show what a drain spares.
  await using network = await Network.start();
  await using fleet = await Fleet.start(network);
  await using load = new Load(network, fleet.address);
  const noticed = async () => load.failed + sum(Object.values(await troubles(fleet)));
  // One of them meets a request, unless the machine is very busy.
  for (const processId of fleet.hosts.flatMap((host) => host.processIds)) {
    await load.whenAnswered(load.answered + 1_000);
    process.kill(processId, "SIGKILL");
    await load.whenAnswered(load.answered + 1_000);
    if (await noticed() > 0) break;
  }
  await load.stop();
  assert.ok(await noticed() > 0, "requests failed, or haproxy repeated them");
});

test.run();

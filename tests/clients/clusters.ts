/**
 * Several servers that form a cluster, for clients that have to find another one when one is
 * killed.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { type Server, startServer } from "./servers.ts";
import { freePort } from "../support/free_port.ts";

export interface Cluster extends AsyncDisposable {
  readonly members: readonly Server[];
}

const MEMBERS_MS = 120_000;

function cluster(members: readonly Server[]): Cluster {
  return {
    members,
    async [Symbol.asyncDispose]() {
      for (const member of members) await member[Symbol.asyncDispose]();
    },
  };
}

function redisCli(port: number, ...args: string[]): string {
  const ran = spawnSync("redis-cli", ["-p", `${port}`, ...args], { encoding: "utf8" });
  if (ran.status !== 0) throw new Error(`redis-cli ${args.join(" ")}: ${ran.stdout}${ran.stderr}`);
  return ran.stdout;
}

/** Asks again until the answer is the one wanted: servers do not announce that they agree. */
async function until(done: () => boolean, what: string): Promise<void> {
  const limitMs = performance.now() + MEMBERS_MS;
  while (!done()) {
    if (performance.now() > limitMs) throw new Error(`Waited ${MEMBERS_MS} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Three masters with one replica each; a dead master is replaced within some seconds. */
async function startRedis(): Promise<Cluster> {
  const members: Server[] = [];
  const made = cluster(members);
  try {
    for (let count = 0; count < 6; count++) {
      members.push(
        await startServer("redis", ({ otherPorts }) => {
          const fixed = ["--cluster-enabled", "yes", "--cluster-node-timeout", "3000"];
          return [...fixed, "--cluster-port", `${otherPorts[0]}`];
        }),
      );
    }
    const hosts = members.map(({ port }) => `127.0.0.1:${port}`);
    const { port } = members[0];
    redisCli(port, "--cluster", "create", ...hosts, "--cluster-replicas", "1", "--cluster-yes");
    const agreed = (member: Server) => {
      const nodes = redisCli(member.port, "cluster", "nodes");
      const replicas = nodes.match(/\bslave .*\bconnected\s*$/gm) ?? [];
      const info = redisCli(member.port, "cluster", "info");
      return replicas.length === 3 && info.includes("cluster_state:ok");
    };
    await until(() => members.every(agreed), "the members of the cluster to agree");
    // Replicas that have the data: a failover needs one.
    const synchronized = (member: Server) =>
      !/role:slave/.test(redisCli(member.port, "info", "replication")) ||
      /master_link_status:up/.test(redisCli(member.port, "info", "replication"));
    await until(() => members.every(synchronized), "the replicas to be in step");
  } catch (error) {
    await made[Symbol.asyncDispose]();
    throw error;
  }
  return made;
}

/** Three servers that know each other's routes. */
async function startNats(): Promise<Cluster> {
  const routes = [await freePort(), await freePort(), await freePort()];
  const all = routes.map((port) => `nats://127.0.0.1:${port}`).join(",");
  const members: Server[] = [];
  const made = cluster(members);
  try {
    for (const route of routes) {
      const own = `nats://127.0.0.1:${route}`;
      const options = ["--cluster_name", "test", "--cluster", own, "--routes", all];
      members.push(await startServer("nats", () => options));
    }
  } catch (error) {
    await made[Symbol.asyncDispose]();
    throw error;
  }
  return made;
}

export const startCluster = { redis: startRedis, nats: startNats };

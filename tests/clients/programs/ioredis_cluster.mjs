// ioredis Cluster: three masters with replicas, a thousand keys; then a master is killed, and every
// key is written and read again while a replica takes its place.
import Redis from "ioredis";
import process from "node:process";
import { host, say } from "./lib.mjs";

const members = process.argv[2].split(",").map((member) => member.split(":").map(Number));
const cluster = new Redis.Cluster(members.map(([port]) => ({ host, port })), {
  clusterRetryStrategy: () => 100,
  retryDelayOnFailover: 200,
  retryDelayOnClusterDown: 200,
  slotsRefreshTimeout: 2_000,
});
cluster.on("error", () => {});
const keys = Array.from({ length: 1_000 }, (_, n) => `key-${n}`);
say(
  (await Promise.all(keys.map((key) => cluster.set(key, key)))).filter((ok) => ok === "OK").length,
);
say(cluster.nodes("master").length);
const [killed] = members[0];
const before = await cluster.get("key-1");
process.kill(members[0][1], "SIGKILL");

/** Until the cluster answers again: at most a minute. */
async function insist(command) {
  for (let left = 300;; left--) {
    try {
      return await command();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
const written = await Promise.all(keys.map((key) => insist(() => cluster.set(key, `${key}!`))));
const read = await Promise.all(keys.map((key) => insist(() => cluster.get(key))));
say(before, written.length, read.every((value, index) => value === `${keys[index]}!`));
const alive = cluster.nodes("master").map(({ options }) => options.port);
say(alive.length >= 3, alive.includes(killed));
cluster.disconnect();
say("ended");

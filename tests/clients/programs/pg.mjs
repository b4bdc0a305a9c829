// pg: Client, Pool, parameters, a row of 4 MiB, an error, COPY in both directions, notifications.
import pg from "pg";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { event, hash, host, net, port, say, text } from "./lib.mjs";

const options = { host, port, user: "test", database: "postgres" };
if (net !== null) options.stream = () => new net.Socket();

const client = new pg.Client(options);
await client.connect();
say((await client.query("select 1 as one")).rows);
say((await client.query("select $1::text || $2::int as joined", ["a", 7])).rows);
const large = text(4 * 1024 * 1024);
const { rows: [{ back }] } = await client.query("select $1::text as back", [large]);
say(back.length, hash(back) === hash(large));
say(await client.query("select nonsense").catch((error) => error.code));
await client.query("create temporary table copied (id int, name text)");
const lines = Array.from({ length: 50_000 }, (_, id) => `${id}\tname ${id}\n`);
await pipeline(Readable.from(lines), client.query(copyFrom("copy copied from stdin")));
say((await client.query("select count(*)::int, sum(id)::int from copied")).rows);
let bytes = 0;
for await (const chunk of client.query(copyTo("copy copied to stdout"))) bytes += chunk.length;
say(bytes === lines.join("").length);
await client.query("listen told");
const notified = event(client, "notification");
await client.query("notify told, 'payload'");
say((await notified).payload);
await client.end();

const pool = new pg.Pool({ ...options, max: 4 });
const sums = await Promise.all(
  Array.from({ length: 40 }, (_, n) => pool.query("select $1::int + 1 as sum", [n])),
);
say(sums.reduce((total, { rows: [{ sum }] }) => total + sum, 0), pool.totalCount);
await pool.end();

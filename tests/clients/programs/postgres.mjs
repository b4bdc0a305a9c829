// postgres.js: tagged queries, a transaction, a cursor, a large value, an error, the end.
import postgres from "postgres";
import { connected, hash, host, net, port, say, text } from "./lib.mjs";

const options = { host, port, user: "test", database: "postgres", max: 3, onnotice() {} };
if (net !== null) {
  options.socket = ({ host: [name], port: [number] }) => connected({ host: name, port: number });
}
const sql = postgres(options);
say(await sql`select ${1}::int as one`);
const large = text(1024 * 1024);
const [{ back }] = await sql`select ${large}::text as back`;
say(hash(back) === hash(large));
say(await sql`select nonsense`.catch((error) => error.code));
say(await sql.begin(async (t) => (await t`select 2 as two`)[0].two));
let count = 0;
for await (const rows of sql`select generate_series(1, 1000) as n`.cursor(100)) {
  count += rows.length;
}
say(count);
say((await Promise.all(Array.from({ length: 30 }, (_, n) => sql`select ${n}::int as n`))).length);
await sql.end({ timeout: 5 });
say("ended");

// mysql2: queries, prepared statements, a large value, an error, a pool.
import mysql from "mysql2/promise";
import { hash, host, net, port, say, text } from "./lib.mjs";

const options = { host, port, user: "root", database: "mysql" };
if (net !== null) options.stream = () => net.connect(port, host);
const connection = await mysql.createConnection(options);
say((await connection.query("select 1 as one"))[0]);
say((await connection.execute("select ? + 1 as sum", [41]))[0].map(({ sum }) => Number(sum)));
const large = text(1024 * 1024);
const [[{ back }]] = await connection.query("select ? as back", [large]);
say(hash(back) === hash(large));
say(await connection.query("select nonsense").catch((error) => error.code));
await connection.end();
const pool = mysql.createPool({ ...options, connectionLimit: 3 });
const sums = await Promise.all(
  Array.from({ length: 20 }, (_, n) => pool.query("select ? as n", [n])),
);
say(sums.length, sums.reduce((total, [[{ n }]]) => total + n, 0));
await pool.end();
say("ended");

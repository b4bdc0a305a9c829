// basic-ftp: AUTH TLS on the control connection, whose listeners it then removes, and TLS on each
// connection of data. 2 MiB up and down, lists, an error.
import { Client } from "basic-ftp";
import { Readable, Writable } from "node:stream";
import { hash, host, port, say, text } from "./lib.mjs";

/** A stream that keeps what it gets, with the bytes as the second value. */
function sink() {
  const chunks = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return [stream, () => chunks.map(String).join("")];
}

const client = new Client(10_000);
await client.access({ host, port, secure: true, secureOptions: { rejectUnauthorized: false } });
say("secure", client.ftp.hasTLS);
const large = text(2 * 1024 * 1024);
await client.uploadFrom(Readable.from([large]), "large");
const list = await client.list();
say(list.map(({ name, size }) => [name, size]));
const [stream, received] = sink();
await client.downloadTo(stream, "large");
say(hash(received()) === hash(large));
await client.downloadTo(sink()[0], "none").catch((error) => say(error.code));
await client.remove("large");
say((await client.list()).length);
client.close();
say("closed", client.closed);

// ssh2, both ends in this program: a command, 4 MiB through a channel, a forwarded connection.
import ssh2 from "ssh2";
import { once } from "node:events";
import { connected, hash, host, net, say, text } from "./lib.mjs";

const { Client, Server, utils } = ssh2;
const { private: hostKey } = utils.generateKeyPairSync("ed25519");
const server = new Server({ hostKeys: [hostKey] }, (client) => {
  client.on(
    "authentication",
    (context) =>
      context.method === "password" && context.password === "secret"
        ? context.accept()
        : context.reject(["password"]),
  );
  client.on("error", () => {});
  client.on("session", (accept) => {
    accept().on("exec", (accept, _reject, { command }) => {
      const stream = accept();
      if (command === "echo") {
        stream.pipe(stream);
        stream.on("end", () => {
          stream.exit(0);
          stream.end();
        });
      } else {
        stream.write(`ran ${command}`);
        stream.exit(3);
        stream.end();
      }
    });
  });
});
server.listen(0, host);
await once(server, "listening");
const { port } = server.address();
const client = new Client();
const options = { host, port, username: "me", password: "secret" };
if (net !== null) options.sock = await connected({ host, port });
client.connect(options);
await once(client, "ready");

function run(command, input = null) {
  return new Promise((resolve, reject) =>
    client.exec(command, (error, stream) => {
      if (error) return reject(error);
      let output = "";
      stream.setEncoding("utf8");
      stream.on("data", (chunk) => output += chunk);
      stream.on("close", (code) => resolve([code, output]));
      if (input !== null) stream.end(input);
    })
  );
}

say(await run("something"));
const large = text(4 * 1024 * 1024);
const [code, back] = await run("echo", large);
say(code, hash(back) === hash(large));
client.end();
await once(client, "close");
server.close();
say("closed");

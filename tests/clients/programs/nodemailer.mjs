// nodemailer against smtp-server, both in this program: a message with an attachment, STARTTLS, login.
import { createTransport } from "nodemailer";
import { SMTPServer } from "smtp-server";
import { once } from "node:events";
import { host, net, say, text } from "./lib.mjs";

const received = [];
const server = new SMTPServer({
  onAuth: ({ username, password }, _session, done) =>
    password === "secret" ? done(null, { user: username }) : done(new Error("wrong")),
  onData(stream, session, done) {
    let bytes = 0;
    stream.on("data", (chunk) => bytes += chunk.length);
    stream.on("end", () => {
      received.push([bytes > 300_000, session.secure, session.user]);
      done();
    });
  },
});
server.on("error", () => {});
server.listen(0, host);
await once(server.server, "listening");
const { port } = server.server.address();
const transport = createTransport({
  host,
  port,
  auth: { user: "me", pass: "secret" },
  tls: { rejectUnauthorized: false },
});
if (net !== null) {
  transport.getSocket = (_options, done) => {
    const connection = net.connect(port, host, () => done(null, { connection }));
    connection.once("error", done);
  };
}
const sent = await transport.sendMail({
  from: "a@example.com",
  to: "b@example.com",
  subject: "subject",
  text: "text",
  attachments: [{ filename: "file.txt", content: text(300_000) }],
});
say(sent.accepted, received);
transport.close();
await new Promise((resolve) => server.close(resolve));
say("closed");

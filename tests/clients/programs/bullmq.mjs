// BullMQ, which brings an ioredis of its own: jobs at once, one of 300 KB, one that fails first, one
// that is delayed. The worker waits in blocking calls.
import { Queue, QueueEvents, Worker } from "bullmq";
import { host, port, say, text } from "./lib.mjs";

const connection = { host, port, maxRetriesPerRequest: null };
const queue = new Queue("queue", { connection });
await queue.obliterate({ force: true });
const events = new QueueEvents("queue", { connection });
await events.waitUntilReady();
const work = async (job) => {
  if (job.data.fails && job.attemptsMade < 1) throw new Error("on purpose");
  return job.data.text?.length ?? job.data.number * 2;
};
const worker = new Worker("queue", work, { connection, concurrency: 5 });

async function done(name, data, options) {
  const job = await queue.add(name, data, options);
  return await job.waitUntilFinished(events);
}

const many = Array.from({ length: 100 }, (_, number) => ({ name: "double", data: { number } }));
const jobs = await queue.addBulk(many);
const doubled = await Promise.all(jobs.map((job) => job.waitUntilFinished(events)));
say(doubled.reduce((sum, number) => sum + number));
say(await done("measure", { text: text(300_000) }));
say(await done("double", { fails: true, number: 4 }, { attempts: 2, backoff: 50 }));
say(await done("double", { number: 1 }, { delay: 200 }));
say((await queue.getJobCounts()).completed);
await worker.close();
await events.close();
await queue.close();
say("ended");

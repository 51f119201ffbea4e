/**
 * Waiting for the event loop: without timers in browsers, which hold them back
 * in a page nobody looks at, and by a timer elsewhere.
 */
import { assert, assertEquals } from "@std/assert";
import { type TaskQueues, taskWaiter } from "../src/base/next_task.ts";
import { findChromium, launchChromium } from "./support/browser.ts";
import { deno, finished } from "./support/command.ts";
import { repositoryPath } from "./support/paths.ts";

/** Runs work while every timer is counted. */
async function timersOf(work: () => Promise<unknown>): Promise<number> {
  const { setTimeout } = globalThis;
  let count = 0;
  globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
    count++;
    return setTimeout(...args);
  }) as typeof setTimeout;
  try {
    await work();
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  return count;
}

const runtimes: readonly (readonly [string, TaskQueues, number])[] = [
  ["Deno, Node and Bun", { setImmediate, MessageChannel }, 3],
  ["Chrome and Firefox", {
    scheduler: { postTask: (task) => Promise.resolve(task()) },
    MessageChannel,
  }, 0],
  ["Safari", { MessageChannel }, 0],
  ["a runtime without any", {}, 3],
];

for (const [name, queues, timers] of runtimes) {
  Deno.test({
    name: `next task: ${timers ? "timers" : "no timer"} in ${name}`,
    // The channel of Safari's way stays open, as it does in a page.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn() {
      const wait = taskWaiter(queues);
      const count = await timersOf(async () => {
        for (let i = 0; i < 3; i++) await wait();
      });
      assertEquals(count, timers);
    },
  });
}

Deno.test({
  name: "next task: messages resolve in the order they were asked for",
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    const wait = taskWaiter({ MessageChannel });
    const order: number[] = [];
    await Promise.all([1, 2, 3].map((n) => wait().then(() => order.push(n))));
    assertEquals(order, [1, 2, 3]);
  },
});

const chromium = findChromium();

Deno.test({
  name: "next task: Chromium takes turns while its timers stand still",
  ignore: !chromium && !Deno.env.get("CI"),
  sanitizeResources: false,
  sanitizeOps: false,
  async fn() {
    assert(chromium, "found no Chromium; tools/setup.sh installs one");
    const { code, out, err } = await finished(deno([
      "bundle",
      "--platform=browser",
      "--no-lock",
      repositoryPath("src/base/next_task.ts"),
    ]));
    assertEquals(code, 0, err.join("\n"));
    const module = out;
    const browser = await launchChromium(chromium);
    try {
      const page = await browser.newPage();
      const turns = await page.evaluate(async (module) => {
        const url = URL.createObjectURL(
          new Blob([module], { type: "text/javascript" }),
        );
        globalThis.setTimeout = (() => 0) as unknown as typeof setTimeout;
        const { nextTask, taskWaiter } = await import(url);
        const withMessages = taskWaiter({ MessageChannel });
        let turns = 0;
        for (let i = 0; i < 50; i++) {
          await nextTask();
          await withMessages();
          turns += 2;
        }
        return turns;
      }, module);
      assertEquals(turns, 100);
    } finally {
      await browser.close();
    }
  },
});

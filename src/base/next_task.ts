/**
 * Lets the event loop run the tasks that wait, also in a page nobody looks at.
 *
 * @module
 */

/** What a runtime offers to queue a task with. */
export interface TaskQueues {
  /** The browsers' Prioritized Task Scheduling API; Safari has none. */
  readonly scheduler?: { postTask?(task: () => void): Promise<void> };
  /** Deno, Node and Bun have it, browsers do not. */
  readonly setImmediate?: unknown;
  /** A channel whose messages are tasks. */
  readonly MessageChannel?: new () => MessageChannel;
}

/**
 * The way of waiting for one turn of the event loop that suits a runtime.
 *
 * Browsers hold timers of a hidden page back by a second, after a while by a
 * minute; they do not hold back tasks of the scheduler or messages. Elsewhere
 * nothing hides, and a timer is right: once a `node:` module is loaded, Deno
 * delivers messages ahead of timers, signals and file reads, so a stream of them
 * would starve those. In Node and Bun the millisecond that a timer takes is
 * spent once in some 100 ms.
 *
 * @param queues what the runtime has
 * @returns a function whose promise resolves after the tasks that are queued
 *
 * @example
 * ```ts
 * import { taskWaiter } from "./next_task.ts";
 *
 * let ran = false;
 * setTimeout(() => ran = true, 0);
 * await taskWaiter({})();
 * console.log(ran); // true
 * ```
 */
export function taskWaiter(queues: TaskQueues): () => Promise<void> {
  const { scheduler, setImmediate, MessageChannel } = queues;
  if (scheduler?.postTask) return () => scheduler.postTask!(() => {});
  if (!setImmediate && MessageChannel) return messageWaiter(MessageChannel);
  return () => new Promise((resolve) => setTimeout(resolve, 0));
}

/** Waits by a message to itself. */
function messageWaiter(
  Channel: NonNullable<TaskQueues["MessageChannel"]>,
): () => Promise<void> {
  // Made with the first turn: what only imports this needs no channel.
  let port: MessagePort | undefined;
  const waiting: (() => void)[] = [];
  return () =>
    new Promise((resolve) => {
      if (!port) {
        const { port1, port2 } = new Channel();
        port1.onmessage = () => waiting.shift()?.();
        port = port2;
      }
      waiting.push(resolve);
      port.postMessage(null);
    });
}

/** Resolves after the tasks that are already queued. */
export const nextTask: () => Promise<void> = taskWaiter(
  globalThis as TaskQueues,
);

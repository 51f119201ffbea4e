/**
 * A loader's Worker: its first message sets it up, each other one is a task.
 *
 * @module
 */
import { buffersOf, type Task, taskRunner, type TaskSetup } from "./tasks.ts";
import type { TaskRunner } from "./tasks.ts";

/** A Worker's own side. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<TaskSetup | Task>) => void) | null;
  postMessage(message: unknown, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;
let run: TaskRunner | undefined;

scope.onmessage = async ({ data }) => {
  if (run === undefined) {
    run = taskRunner(data as TaskSetup);
    return;
  }
  try {
    const result = await run(data as Task);
    scope.postMessage({ result }, buffersOf(result));
  } catch (error) {
    scope.postMessage({ failure: String((error as Error).stack ?? error) });
  }
};

/**
 * A loader's Worker.
 *
 * @module
 */
import { buffersOf, taskRunner } from "./tasks.ts";
import { serve } from "./workers.ts";

serve(taskRunner, buffersOf);

/**
 * A process that shows that what Tint says is seen: it compiles a shader with
 * an unreachable line and one with an error, and prints the messages.
 *
 * @module
 */
import { allMessages } from "./install.ts";

const adapter = await navigator.gpu.requestAdapter();
const device = await adapter!.requestDevice();
const main = "@compute @workgroup_size(1) fn main()";
device.pushErrorScope("validation");
device.createShaderModule({
  label: "first",
  code: `${main} { return; let x = 1; }`,
});
device.createShaderModule({ label: "second", code: `${main} { return 1; }` });
await device.popErrorScope();
console.log(JSON.stringify(await allMessages()));
Deno.exit(0);

/**
 * Loaded before a program: puts Dawn in the place of Deno's own WebGPU, and keeps
 * what its compiler Tint says of shaders.
 *
 * @module
 */
import { type DawnModule, installDawn } from "../../src/host/dawn.ts";
import { DAWN } from "./package.ts";

const dawn: DawnModule = await import(DAWN);
installDawn(dawn);

const messages: string[] = [];
const asked: Promise<void>[] = [];

const { prototype } = dawn.globals.GPUDevice as { prototype: GPUDevice };
const { createShaderModule } = prototype;
prototype.createShaderModule = function (descriptor) {
  const module = createShaderModule.call(this, descriptor);
  asked.push(
    module.getCompilationInfo().then((info) => {
      for (const { type, message, lineNum } of info.messages) {
        const line = descriptor.code.split("\n")[lineNum - 1];
        messages.push(`${descriptor.label} ${type}: ${message} in ${line}`);
      }
    }),
  );
  return module;
};

/** Every error, warning and info of Tint's so far, each with its shader. */
export async function allMessages(): Promise<readonly string[]> {
  await Promise.all(asked);
  return messages;
}

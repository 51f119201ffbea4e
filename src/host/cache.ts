/**
 * This project's place in the user's cache folder, and what is kept there.
 *
 * @module
 */
import { mkdir, readFile } from "node:fs/promises";
import process from "node:process";
import type { TuneStore } from "../graph/tuner.ts";
import { writeFileAtomic } from "./write.ts";

/**
 * Keeps which kernels are fastest here in the user's cache folder:
 * `$XDG_CACHE_HOME`, `~/.cache`, `~/Library/Caches` or `%LOCALAPPDATA%`. Without
 * permission to read or write there nothing is kept, and nothing fails.
 */
export function userTuneStore(): TuneStore {
  const path = (key: string) => `${userCacheFolder()}/kernels-${key}.json`;
  return {
    read: async (key) => {
      try {
        return await readFile(path(key), "utf8");
      } catch {
        return null;
      }
    },
    write: async (key, text) => {
      try {
        await mkdir(userCacheFolder(), { recursive: true });
        const bytes = new TextEncoder().encode(text);
        await writeFileAtomic(path(key), (write) => write(bytes));
      } catch {
        // The next run measures again.
      }
    },
  };
}

/**
 * This project's place in the user's cache folder.
 *
 * @throws where there is no home folder, or no permission to read the environment
 */
export function userCacheFolder(): string {
  const { env, platform } = process;
  const home = env.HOME ?? env.USERPROFILE ?? "";
  const own = platform === "win32" ? env.LOCALAPPDATA : env.XDG_CACHE_HOME;
  const usual = platform === "darwin" ? "Library/Caches" : ".cache";
  if (!own && !home) throw new Error("There is no home folder");
  return `${own || `${home}/${usual}`}/masterweaver`;
}

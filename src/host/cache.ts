/**
 * This project's place in the user's cache folder, and what is kept there.
 *
 * @module
 */
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
        return await Deno.readTextFile(path(key));
      } catch {
        return null;
      }
    },
    write: async (key, text) => {
      try {
        await Deno.mkdir(userCacheFolder(), { recursive: true });
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
  const home = Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE") ?? "";
  const own = Deno.build.os === "windows"
    ? Deno.env.get("LOCALAPPDATA")
    : Deno.env.get("XDG_CACHE_HOME");
  const usual = Deno.build.os === "darwin" ? "Library/Caches" : ".cache";
  if (!own && !home) throw new Error("There is no home folder");
  return `${own || `${home}/${usual}`}/masterweaver`;
}

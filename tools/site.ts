/**
 * Builds the page that computes everything itself, as files for any host.
 *
 *     deno task site
 *
 * @module
 */
import { resolve } from "node:path";
import { print } from "../src/host/streams.ts";
import { buildSite } from "./site/build.ts";
import { counted, option, repositoryFile, text, toolMain } from "./tool.ts";

const USAGE = `Usage: deno run -A tools/site.ts [--output DIR] [--model DIR]

Builds a page that makes images in the browser, without a server of its own:
static files for any host that serves HTTPS. Its photos and images stay in it.

  --output DIR  where it goes; what an earlier build left there is replaced (site)
  --model DIR   the model that comes with it (weights/mini)
  -h, --help    this text`;

const main = toolMain({
  usage: USAGE,
  options: {
    output: option(text, repositoryFile("site")),
    model: option(text, repositoryFile("weights/mini")),
  },
  async run({ output, model }) {
    const { files, pageBytes, modelBytes } = await buildSite({
      output: resolve(output),
      model: resolve(model),
    });
    print(
      `${output}: ${counted(files, "file")}, ${
        megabytes(pageBytes)
      }, and the model's ${megabytes(modelBytes)}\n`,
    );
  },
});

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);

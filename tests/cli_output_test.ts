/**
 * Where the command's image goes: files of every kind, streams that are full or
 * closed, places that become unusable while it works.
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readImage, readImageText } from "../src/host/files.ts";
import { decodeImage } from "../src/host/codecs/codec.ts";
import { command, deno, finished } from "./support/command.ts";
import {
  inFolder,
  isPrivileged,
  namesIn,
  onSmallDisk,
} from "./support/file_systems.ts";
import { gpuTest } from "./support/gpu.ts";
import { repositoryPath } from "./support/paths.ts";

const isUnix = Deno.build.os !== "windows";
const demo = repositoryPath("weights/mini/demo.png");
const mod = repositoryPath("mod.ts");
const size = ["--width", "64", "--height", "64"];
/** An image that is made in a moment. */
const quick = ["--ref", demo, "--steps", "1", ...size, "--quiet"];

/** A test of what only Unix has, on a GPU. */
const unixTest = (name: string, fn: () => Promise<void>) =>
  gpuTest(name, fn, !isUnix);

/** Runs the command in a shell, whose redirections follow it. */
async function shell(
  redirections: string,
  args: readonly string[],
  cwd: string,
) {
  const command = new Deno.Command("bash", {
    args: [
      "-c",
      `set -o pipefail; "$DENO" run -A "$@" ${redirections}`,
      "bash",
      mod,
      ...args,
    ],
    env: { DENO: Deno.execPath(), NO_COLOR: "1", TMPDIR: `${cwd}/spare` },
    cwd,
  });
  const { code, stdout, stderr } = await command.output();
  return { code, stdout, err: new TextDecoder().decode(stderr) };
}

unixTest(
  "output: links, pipes and devices are written through",
  () =>
    inFolder(async (folder) => {
      await Deno.symlink("real.png", `${folder}/link.png`);
      const linked = await command([...quick, "--output=link.png"], {
        cwd: folder,
      });
      assertEquals([linked.code, linked.err], [0, []]);
      assert((await Deno.lstat(`${folder}/link.png`)).isSymlink);
      const { width } = await readImage(`${folder}/real.png`);
      assertEquals(width, 64);

      const piped = await shell(
        "& cat pipe > copy.png; wait $!",
        [...quick, "--output=pipe"],
        await (async () => {
          await new Deno.Command("mkfifo", { args: [`${folder}/pipe`] })
            .output();
          return folder;
        })(),
      );
      assertEquals([piped.code, piped.err], [0, ""]);
      assertEquals(
        await Deno.readFile(`${folder}/copy.png`),
        await Deno.readFile(`${folder}/real.png`),
      );
      const none = await command([...quick, "--output=/dev/null"], {
        cwd: folder,
      });
      assertEquals([none.code, none.out], [0, "/dev/null\n"]);
      assert((await Deno.stat("/dev/null")).isCharDevice);
      const two = await command(
        [...quick, "--output=/dev/null", "--num-images=2"],
        { cwd: folder },
      );
      assertEquals(two.code, 2);
      assertEquals(await namesIn(folder), [
        "copy.png",
        "link.png",
        "pipe",
        "real.png",
      ]);
    }),
);

unixTest(
  "output: - is standard output, as are its other names",
  () =>
    inFolder(async (folder) => {
      for (const name of ["-", "/dev/stdout"]) {
        const run = await shell("", [...quick, "--output", name], folder);
        assertEquals([run.code, run.err], [0, ""]);
        assertEquals(decodeImage(run.stdout, "stdout").width, 64);
      }
      assertEquals(await namesIn(folder), []);
    }),
);

gpuTest(
  "output: .jpg is a JPEG that carries its settings and is repeated",
  () =>
    inFolder(async (folder) => {
      const prompt = 'a "smiling" woman,\nSteps: 3 ☃';
      const made = await command([
        ...quick,
        "--prompt",
        prompt,
        "--seed=-1",
        "--output=a.JPG",
        "--num-images=2",
        "--save-references",
      ], { cwd: folder });
      assertEquals([made.code, made.err], [0, []]);
      const names = ["a-0.JPG", "a-1.JPG", "a.reference-0.JPG"];
      assertEquals(await namesIn(folder), names);
      for (const name of names) {
        const [first, second] = await Deno.readFile(`${folder}/${name}`);
        assertEquals([first, second], [0xff, 0xd8]);
      }
      const { text } = await readImageText(`${folder}/a-1.JPG`);
      assertEquals([text.prompt, text.seed], [prompt, "-1"]);
      assertEquals([text.width, text.image_index], ["64", "1"]);
      const again = await command([
        "--ref",
        demo,
        "--from-image=a-1.JPG",
        "--output=b.jpg",
        "--quiet",
      ], { cwd: folder });
      assertEquals([again.code, again.err], [0, []]);
      assertEquals(
        await Deno.readFile(`${folder}/b-1.jpg`),
        await Deno.readFile(`${folder}/a-1.JPG`),
      );
      // A name that is only an ending has that ending, too.
      const short = await command(
        [...quick, "--output=./.jpg"],
        { cwd: folder },
      );
      assertEquals([short.code, short.err], [0, []]);
      const [start] = await Deno.readFile(`${folder}/.jpg`);
      assertEquals(start, 0xff);
      // More text than a JPEG holds: refused before the work.
      const long = await command(
        [...quick, "--output=c.jpg", "--prompt", "word ".repeat(8000)],
        { cwd: folder },
      );
      assertEquals(long.code, 2);
      assertMatch(long.err.join(), /write PNG or shorten the text/);
    }),
);

unixTest(
  "output: closed or full streams fail with one line",
  () =>
    inFolder(async (folder) => {
      const loud = quick.slice(0, -1);
      const full = Deno.build.os === "linux" ? "/dev/full" : "/dev/null";
      const full1 = full === "/dev/full" ? 1 : 0;
      const rows: [string, string[], number, RegExp][] = [
        ["| true", quick, 0, /^$/],
        ["| head -c0", [...quick, "--json"], 0, /^$/],
        ["| head -c8 > /dev/null", [...quick, "--output=-"], 0, /^$/],
        [">&-", quick, 0, /^$/],
        ["2>&-", loud, 0, /^$/],
        [`2> ${full}`, loud, 0, /^$/],
        [`2> >(true)`, loud, 0, /^$/],
        [`> ${full}`, [...quick, "--json"], full1, /standard output: the disk/],
        [`> ${full}`, quick, 0, /standard output: the disk is full\n$/],
        [
          `> ${full}`,
          ["--help"],
          full1,
          /standard output: the disk is full\n$/,
        ],
      ];
      for (const [redirections, args, code, says] of rows) {
        await Deno.remove(`${folder}/output.png`).catch(() => {});
        const run = await shell(redirections, args, folder);
        const row = `${redirections} ${args.at(-1)}: ${run.err}`;
        assertEquals(run.code, code, row);
        if (full === "/dev/full") assertMatch(run.err, says, row);
        assert(!run.err.includes("at "), row);
        if (args[0] === "--help" || args.includes("--output=-")) continue;
        assertEquals(await namesIn(folder), ["output.png"], row);
      }
    }),
);

gpuTest(
  "output: an image that stdout refuses is kept in the temporary folder",
  () =>
    inFolder(async (folder) => {
      const run = await shell(
        "> /dev/full",
        [...quick, "--output=-"],
        folder,
      );
      assertEquals(run.code, 1);
      const path = /the image is kept in (\S+\.png)\n$/.exec(run.err)?.[1];
      assert(path?.startsWith(`${folder}/spare/`), run.err);
      assertEquals((await readImage(path!)).width, 64);
    }),
  Deno.build.os !== "linux",
);

/** Starts a job and does something once it is at work. */
async function meanwhile(
  args: readonly string[],
  folder: string,
  act: () => Promise<unknown>,
) {
  const child = deno(["run", "-A", mod, ...args], {
    cwd: folder,
    env: { TMPDIR: `${folder}/spare` },
  });
  const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let err = "";
  let hasActed = false;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    err += value;
    if (hasActed || !err.includes("Denoising")) continue;
    hasActed = true;
    await act();
  }
  const { code } = await child.status;
  await child.stdout.cancel();
  return { code, err };
}

/** An image that takes long enough for something to happen meanwhile. */
const slow = ["--ref", demo, "--steps", "6"];

gpuTest(
  "output: an image whose folder was removed meanwhile is kept",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/out`);
      await Deno.mkdir(`${folder}/spare`);
      const { code, err } = await meanwhile(
        [...slow, "--output=out/a.png"],
        folder,
        () => Deno.remove(`${folder}/out`),
      );
      assertEquals(code, 1, err);
      assertMatch(err, /\nCannot write out\/a\.png: no such file or folder/);
      const path = /; the image is kept in (\S+a\.png)\n$/.exec(err)?.[1];
      assert(path !== undefined, err);
      assert(path.startsWith(`${folder}/spare/masterweaver-`), err);
      assertEquals((await readImage(path)).width, 128);
      if (isUnix) assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
      const { text } = await readImageText(path);
      assertEquals(text.steps, "6");
    }),
);

gpuTest(
  "output: a disk that is full, before and after the work",
  () =>
    inFolder(async (folder) => {
      await Deno.mkdir(`${folder}/spare`);
      await onSmallDisk(folder, 256, async (disk) => {
        const path = `${disk}/a.png`;
        const args = [...slow, "--output", path];
        // The room left is too small for the largest possible image.
        await Deno.writeFile(`${disk}/filler`, new Uint8Array(230_000));
        const before = await command(args, { cwd: folder });
        assertEquals(before.code, 1);
        assertMatch(before.err.join("\n"), /Cannot write .*: the disk is full/);
        assert(!before.err.join().includes("Denoising"));
        await Deno.remove(`${disk}/filler`);

        const { code, err } = await meanwhile(
          args,
          folder,
          () => Deno.writeFile(`${disk}/filler`, new Uint8Array(260_000)),
        );
        assertEquals(code, 1, err);
        assertMatch(err, /the disk is full.*; the image is kept in \S+\n$/);
        assertEquals((await namesIn(`${folder}/spare`)).length, 1);
        assertEquals(await namesIn(disk), ["filler"]);
      });
    }),
  !isPrivileged,
);

gpuTest(
  "output: the permissions that README names are enough",
  () =>
    inFolder(async (folder) => {
      const readme = await Deno.readTextFile(repositoryPath("README.md"));
      assert(readme.includes("deno run -R -W mod.ts"));
      const run = (flags: string[]) =>
        finished(
          deno(["run", "--no-prompt", ...flags, mod, ...quick], {
            cwd: folder,
          }),
        );
      const weights = repositoryPath("weights");
      for (const flags of [["-R", "-W"], [`-R=${weights},.`, "-W=."]]) {
        const { code, err } = await run(flags);
        assertEquals([code, err], [0, []]);
        await Deno.remove(`${folder}/output.png`);
      }
      // One path is enough to write, where it is that file's.
      assertEquals((await run(["-R", "-W=output.png"])).code, 0);
      await Deno.remove(`${folder}/output.png`);
      const rows: [string[], RegExp][] = [
        [[], /permission "read" for .*; add -R or --allow-read=/],
        [["-W"], /permission "read" for .*; add -R or --allow-read=/],
        [
          ["-R"],
          /permission "write" for .*output\.png; add -W or --allow-write=/,
        ],
        [[`-R=${weights}`, "-W"], /Cannot write output\.png: .* "read" for/],
        [["-R=.", "-W"], /Cannot read .*demo\.png: .*permission "read"/],
      ];
      for (const [flags, says] of rows) {
        const { code, err, out } = await run(flags);
        assertEquals([code, err.length, out], [1, 1, ""], err.join("\n"));
        assertMatch(err[0], says);
        assertEquals(await namesIn(folder), []);
      }
    }),
);

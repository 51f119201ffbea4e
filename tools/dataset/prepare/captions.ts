/**
 * Captions of photos: beside them, in a folder of texts, or in a table.
 *
 * @module
 */
import { MasterWeaverError } from "../../../src/base/errors.ts";
import { readShortFile } from "../../../src/host/files.ts";
import { cannotRead } from "../../../src/host/reasons.ts";
import { parseCsv } from "./csv.ts";
import { type FoundPhoto, withoutExtension } from "./photos.ts";
import { reject, type Rejection } from "./rejection.ts";

/** Gives the captions of a photo, or says why it has none. */
export type CaptionSource = (
  photo: FoundPhoto,
) => Promise<readonly string[] | Rejection>;

/** Most bytes of a caption, and of a table of them. */
const MAX_CAPTION = 2 ** 16, MAX_TABLE = 2 ** 30;
/** What columns are called here and elsewhere. */
const FILE_KEYS = ["file", "file_name", "image"];
const CAPTION_KEYS = ["caption", "text"];

/**
 * Opens captions.
 *
 * @param place a folder of `.txt` files, a `.jsonl` or `.csv` file, or `-` for texts beside the photos
 * @throws {MasterWeaverError} `cannot-read` where it is none of these
 */
export async function openCaptions(place: string): Promise<CaptionSource> {
  if (place === "-") {
    return ({ path }) => fromText([`${withoutExtension(path)}.txt`]);
  }
  const info = await Deno.stat(place).catch((error) => {
    throw cannotRead(place, error);
  });
  if (info.isDirectory) {
    return ({ file }) => {
      const name = withoutExtension(file);
      const stem = name.slice(name.lastIndexOf("/") + 1);
      return fromText([`${place}/${name}.txt`, `${place}/${stem}.txt`]);
    };
  }
  const table = toTable(await readTable(place));
  return ({ file }) => {
    const name = withoutExtension(file);
    const short = (path: string) => path.slice(path.lastIndexOf("/") + 1);
    const found = [file, name, short(file), short(name)]
      .map((key) => table.get(key)).find((captions) => captions);
    const texts = found ?? [];
    return Promise.resolve(
      found === undefined
        ? reject("no caption", `${place} does not name it`)
        : texts.length === 0
        ? reject("bad caption", `its caption in ${place} is empty`)
        : texts,
    );
  };
}

/** The captions of the first of some files that is there. */
async function fromText(
  paths: readonly string[],
): Promise<readonly string[] | Rejection> {
  for (const path of paths) {
    const info = await Deno.stat(path).catch(() => null);
    if (!info?.isFile) continue;
    try {
      const text = decode(await readShortFile(path, MAX_CAPTION));
      if (text === undefined) {
        return reject("bad caption", `${path} is not UTF-8`);
      }
      const captions = lines(text);
      return captions.length > 0
        ? captions
        : reject("bad caption", `${path} is empty`);
    } catch (error) {
      if (!(error instanceof MasterWeaverError)) throw error;
      return reject("bad caption", error.message);
    }
  }
  return reject("no caption", `there is no ${paths[0]}`);
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function lines(text: string): string[] {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

/** A row: which photo, and its caption. */
type Row = readonly [file: string, caption: string];

async function readTable(path: string): Promise<Row[]> {
  const isJson = /\.(jsonl|ndjson)$/i.test(path);
  if (!isJson && !/\.csv$/i.test(path)) {
    throw badTable(path, "it is no folder, .jsonl or .csv file");
  }
  const text = decode(await readShortFile(path, MAX_TABLE));
  if (text === undefined) throw badTable(path, "it is not UTF-8");
  return isJson ? jsonRows(text, path) : csvRows(text, path);
}

function jsonRows(text: string, path: string): Row[] {
  return lines(text).map((line, i) => {
    const value = parseObject(line);
    const [file, caption] = [FILE_KEYS, CAPTION_KEYS]
      .map((keys) =>
        keys.map((key) => value[key]).find((v) => v !== undefined)
      );
    if (typeof file === "string" && typeof caption === "string") {
      return [file, caption];
    }
    throw badTable(
      path,
      `line ${i + 1} is no object with texts "file" and "caption"`,
    );
  });
}

function parseObject(line: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(line));
  } catch {
    return {};
  }
}

function csvRows(text: string, path: string): Row[] {
  const rows = parseCsv(text);
  if (!rows) throw badTable(path, "a quotation mark in it is never closed");
  const names = rows[0]?.map((name) => name.trim().toLowerCase()) ?? [];
  const column = (keys: readonly string[]) =>
    names.findIndex((name) => keys.includes(name));
  const [file, caption] = [column(FILE_KEYS), column(CAPTION_KEYS)];
  const hasHeader = file >= 0 && caption >= 0;
  const body = hasHeader ? rows.slice(1) : rows;
  return body.map((row, i) => {
    const [f, c] = hasHeader ? [row[file], row[caption]] : row;
    if (f !== undefined && c !== undefined) return [f, c];
    throw badTable(
      path,
      `row ${i + 1 + Number(hasHeader)} has no file and caption`,
    );
  });
}

/** Captions by path and by name, each with and without extension. */
function toTable(rows: readonly Row[]): Map<string, string[]> {
  const table = new Map<string, string[]>();
  for (const [file, caption] of rows) {
    const path = file.trim().replaceAll("\\", "/").replace(/^(\.\/)+/, "");
    const known = table.get(path) ?? [];
    known.push(...lines(caption));
    table.set(path, known);
  }
  for (const [path, captions] of [...table]) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    for (const key of [withoutExtension(path), name, withoutExtension(name)]) {
      if (!table.has(key)) table.set(key, captions);
    }
  }
  return table;
}

function badTable(path: string, why: string): MasterWeaverError {
  return new MasterWeaverError(
    "cannot-read",
    `Cannot read captions from ${path}: ${why}; expected lines such as {"file": "a.jpg", "caption": "a man"}, or a.jpg,a man`,
  );
}

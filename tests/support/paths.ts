/** Absolute path of a file of the repository. */
export function repositoryPath(path: string): string {
  return decodeURIComponent(new URL(`../../${path}`, import.meta.url).pathname);
}

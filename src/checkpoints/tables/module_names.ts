/**
 * Maps names of modules to another layout, by whole path segments.
 *
 * @module
 */

/** What one layout calls the modules of another. */
export class ModuleNames {
  readonly #others = new Map<string, string>();

  /**
   * Maps a module.
   *
   * @param path its path here, such as `mid_block.resnets.0`
   * @param other its path there; what is below it keeps its name
   */
  set(path: string, other: string): void {
    this.#others.set(path, other);
  }

  /**
   * Maps a module, and modules right below it.
   *
   * @param path its path here
   * @param other its path there
   * @param inner names below it, here and there; others keep their names
   */
  setAll(
    path: string,
    other: string,
    inner: Readonly<Record<string, string>>,
  ): void {
    this.set(path, other);
    for (const [name, otherName] of Object.entries(inner)) {
      this.set(`${path}.${name}`, `${other}.${otherName}`);
    }
  }

  /**
   * A tensor's name in the other layout, by the longest path that is mapped.
   *
   * @param name a tensor's name here
   * @throws {RangeError} where no path of it is known: a table lacks a rule
   */
  of(name: string): string {
    for (let end = name.length; end > 0; end = name.lastIndexOf(".", end - 1)) {
      const other = this.#others.get(name.slice(0, end));
      if (other !== undefined) return other + name.slice(end);
    }
    throw new RangeError(`No rule names ${name} in the other layout`);
  }
}

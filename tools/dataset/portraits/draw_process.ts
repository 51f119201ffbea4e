/**
 * A process that draws portraits; {@linkcode ../portraits.ts} starts it.
 *
 * @module
 */
import { DatasetLayout } from "../layout.ts";
import { answerJobs } from "../processes.ts";
import { PortraitDrawer } from "./drawing.ts";
import { loadPackages } from "./packages.ts";
import type { PersonPlan } from "./people.ts";
import { hasPerson, writePerson } from "./person_files.ts";

/** Where and how to draw. */
export interface DrawSetup {
  /** The dataset's root. */
  readonly root: string;
  /** Pixels on a side. */
  readonly size: number;
}

/** Whom to draw. */
export interface DrawJob extends PersonPlan {
  /** From 0. */
  readonly person: number;
}

/** Whether a person had to be drawn, or was there. */
export interface DrawAnswer {
  readonly isNew: boolean;
}

if (import.meta.main) {
  Deno.exitCode = await answerJobs<DrawSetup, DrawJob, DrawAnswer>(
    async ({ root, size }) => {
      const layout = new DatasetLayout(root);
      const drawer = new PortraitDrawer(await loadPackages(), size);
      return ({ person, ...plan }) => {
        const isNew = !hasPerson(layout, person, plan.portraits.length);
        if (isNew) writePerson(layout, drawer, person, plan);
        return { isNew };
      };
    },
  );
}

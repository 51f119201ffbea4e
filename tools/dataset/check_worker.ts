/**
 * A Worker that checks ids of a data set.
 *
 * @module
 */
import { serve } from "../train/data/workers.ts";
import { idChecker } from "./id_checker.ts";

serve(idChecker);

/**
 * Reverse mode: the gradients of every op in f32.
 */
import { testGradients } from "./support/gradient_tests.ts";

testGradients("f32");

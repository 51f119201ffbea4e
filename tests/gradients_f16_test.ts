/**
 * Reverse mode: the gradients of every op in f16.
 */
import { testGradients } from "./support/gradient_tests.ts";

testGradients("f16");

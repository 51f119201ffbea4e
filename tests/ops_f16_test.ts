/**
 * Every op in f16.
 */
import { testOps } from "./support/op_tests.ts";

testOps("f16");

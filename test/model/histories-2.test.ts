import { testHistories } from "./suite.ts";

testHistories(100, 1);

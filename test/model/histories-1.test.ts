import { testHistories } from "./suite.ts";

testHistories(0, 1);

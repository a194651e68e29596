import { testHistories } from "./suite.ts";

testHistories(200, 1);

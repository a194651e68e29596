/** firnline doctor */
import type { Diagnosis } from "../../doctor.ts";
import { type Command, EXIT } from "../command.ts";
import { diagnosisJson, diagnosisText } from "../doctor-text.ts";
import { eachPolicy, FOLDER_OPTION, readPoliciesApart, worstOf } from "../pipelines.ts";
import { errorsOf } from "../report.ts";

export const doctor: Command = {
  name: "doctor",
  arguments: "[PIPELINE ...]",
  operandsMax: Number.POSITIVE_INFINITY,
  stopsInOrder: false,
  summary: "find everything that a run would be refused for, with its remedy; changes nothing",
  details:
    "Findings refuse a run, and end this command with 12. Advice does neither. The lines below each of\n" +
    "them are ready to be pasted: SQL, or a command. `firnline run` looks at the database like this, too.",
  examples: ["firnline doctor", "firnline doctor audit-logs --json | jq .finding.fix"],
  options: { folder: FOLDER_OPTION },
  async run(context) {
    const { policies, refused } = await readPoliciesApart(context);
    const diagnoses: Diagnosis[] = [];
    const code = await eachPolicy(context, policies, async (pipeline) => {
      const found = await pipeline.doctor();
      diagnoses.push(found);
      return found.findings.length > 0 ? EXIT.refused : EXIT.done;
    });
    const wrong = refused.flatMap(errorsOf);
    const told = context.json ? diagnosisJson(diagnoses, wrong) : diagnosisText(diagnoses, wrong);
    for (const line of told) context.print(line);
    return worstOf([code, wrong.length > 0 ? EXIT.refused : EXIT.done]);
  },
};

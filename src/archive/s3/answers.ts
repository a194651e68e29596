/**
 * The store's answers before the SDK makes fields of them. The SDK waits for the rest of a document for ever, takes any
 * document for a result, also none and one that says that something failed, and leaves out what it does not find: a
 * listing without keys, a bucket that never had versions. Here an answer comes in time and in the form of an answer, or it
 * is an error that is worth another try.
 *
 * The bytes of objects are not looked at: `read-range.ts` does that while they come.
 */
import type { S3Client } from "@aws-sdk/client-s3";
import {
  type Answer,
  brokenOff,
  documentOf,
  isGood,
  type Request,
  withoutCredentials,
} from "../sdk-answers.ts";
import type { StoreLimits } from "../sdk-requests.ts";

/** In which the first element of a document is looked for. */
const START_BYTES = 1_024;
/** What answers with a document; all else has it in headers. Of tags Ceph says nothing at all where there are none. */
const WITH_DOCUMENT = /^(?:List|Get(?!ObjectTagging)|CreateMultipart|CompleteMultipart|Copy|UploadPartCopy)/;

export function checkAnswers(client: S3Client, { answerMs }: Pick<StoreLimits, "answerMs">): void {
  client.middlewareStack.add(
    (next, { commandName = "" }) =>
      async (args) => {
        const result = await next(args);
        const answer = result.response as Answer;
        if (isGood(answer) && commandName === "GetObjectCommand") return result;
        const bytes = await documentOf(answer, answerMs);
        const root = isGood(answer) ? rootOf(bytes) : "Error";
        answer.body = root === "Error" ? withoutCredentials(bytes, args.request as Request) : bytes;
        if (!isGood(answer)) return result;
        // The status was sent before the store knew.
        if (root === "Error") answer.statusCode = 500;
        else if (/^html$/i.test(root)) throw brokenOff("the answer is a page for people");
        else if (root === "" && WITH_DOCUMENT.test(commandName))
          throw brokenOff("the answer has no document");
        return result;
      },
    // Next to the wire: before anything is parsed.
    { step: "deserialize", priority: "low", name: "checkAnswers" },
  );
}

/** The name of the first element; empty where there is none. Whether the document is whole the SDK sees. */
function rootOf(bytes: Uint8Array): string {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // A store that needs its time sends spaces meanwhile.
  const from = Math.max(
    0,
    all.findIndex((byte) => byte > 0x20),
  );
  const start = all.subarray(from, from + START_BYTES).toString("latin1");
  return /^(?:\u00EF\u00BB\u00BF)?(?:<[?!][^>]*>\s*)*<([A-Za-z_][\w:.-]*)/.exec(start)?.[1] ?? "";
}

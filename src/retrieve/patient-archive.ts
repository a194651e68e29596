/**
 * An archive whose reads wait where the object turns out to be cold: its copy ended, or a rule of the bucket moved it,
 * between the look at it and the read (hazards 23 and 27, fault 31). The read goes on at the byte where it stopped, and
 * what it yields is verified by whoever reads, as always; so it is the whole answer or none. Several reads may come upon
 * cold objects at once: they wait in turn, as whoever asks for copies must see what was asked for before.
 */
import type { ByteRange, Locator } from "../archive/port.ts";
import type { ObjectReader } from "../archive/read-object.ts";
import { isFirnlineError } from "../errors.ts";

/** Of one read; `makeReadable` has its own bound on copies that it asks for. */
const WAITS_MAX = 3;

/** `makeReadable` resolves when the object can be read again, and throws why it cannot. */
export function patientArchive(
  archive: ObjectReader,
  makeReadable: (object: Locator, signal: AbortSignal | undefined) => Promise<void>,
): ObjectReader {
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = async (object: Locator, signal: AbortSignal | undefined): Promise<void> => {
    const mine = turn.then(async () => await makeReadable(object, signal));
    turn = mine.catch(() => {});
    await mine;
  };
  return {
    async *read(object: Locator, range?: ByteRange, signal?: AbortSignal) {
      let yielded = 0;
      for (let waits = 0; ; waits += 1) {
        const rest = range === undefined ? undefined : { start: range.start + yielded, end: range.end };
        try {
          for await (const piece of archive.read(object, rest, signal)) {
            yielded += piece.byteLength;
            yield piece;
          }
          return;
        } catch (error) {
          // Without a range nobody knows where to go on.
          const isResumable = range !== undefined || yielded === 0;
          if (!isFirnlineError(error, "E_COLD") || !isResumable || waits >= WAITS_MAX) throw error;
        }
        await inTurn(object, signal);
      }
    },
  };
}

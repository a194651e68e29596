/** An application that never leaves a row alone. */
import type { Scenario } from "./scenario.ts";

/**
 * Changes the message of a row of `public.audit_logs` after each of the next `times` exports, before its rows are
 * pruned: an export ends with a draft of its manifest.
 */
export async function keepChanging(scenario: Scenario, id: number, times: number): Promise<void> {
  await scenario.query(`
    CREATE TABLE public.busy (left_over int); INSERT INTO public.busy VALUES (${times});
    CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
      UPDATE public.busy SET left_over = left_over - 1 WHERE left_over > 0;
      IF FOUND THEN UPDATE public.audit_logs SET message = message || '!' WHERE id = ${id}; END IF;
      RETURN NULL; END $$;
    CREATE TRIGGER touch AFTER INSERT ON firnline.draft FOR EACH ROW EXECUTE FUNCTION public.touch()`);
}

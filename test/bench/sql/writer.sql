\set number random(1, 10000)
INSERT INTO public.audit (id, ts) VALUES (nextval('public.writers'), to_timestamp(:noon + random() * 3600));
UPDATE public.audit SET actor = gen_random_uuid() WHERE id = 1000000000 + :number;

-- A leader that nobody doubts has nothing to renew: who wants to lead challenges it, and takes over when no answer came.
alter table leader drop column expires;
alter table leader add column challenged timestamptz;

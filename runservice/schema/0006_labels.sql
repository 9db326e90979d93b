-- What an executor must be marked with: lines of name=value.
alter table tasks add column labels text not null default '';

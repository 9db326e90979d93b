#!/usr/bin/env bash
# Caches: saved once, restored by key and by prefix, keys as templates, and what fails.
. "$(dirname "$0")/../lib.sh"
leftovers_before

# A key of this test's own; direct runs of one repository share their caches.
K=k$(now_ms)
repo caches <<YAML
runs:
  - name: caches
    tasks:
      - name: first
        runtime: {containers: [{image: busybox}]}
        environment: {WHAT: "$K"}
        steps:
          - run: {name: make, command: "mkdir -p deps/in; echo one >deps/in/file; echo lock >lock.txt; ln -s in deps/link"}
          - restore_cache: {keys: ['{{ env "WHAT" }}-nothing'], dest_dir: away}
          - save_cache: &save {key: '{{ env "WHAT" }}-{{ md5sum "lock.txt" }}', contents: [{source_dir: deps}]}
          - run: {name: change, command: "echo two >deps/in/file"}
          - save_cache: *save
          - save_cache: {key: '{{ env "WHAT" }}-{{ md5sum "lock.txt" }}-longer', contents: [{source_dir: deps}]}
      - name: second
        runtime: {containers: [{image: busybox}]}
        environment: {WHAT: "$K"}
        depends: [first]
        steps:
          - run: {name: lock, command: "echo lock >lock.txt"}
          - restore_cache: {keys: ['{{ env "WHAT" }}-{{ md5sum "lock.txt" }}', '{{ env "WHAT" }}'], dest_dir: exact}
          - restore_cache: {keys: ['{{ env "WHAT" }}-none', '{{ env "WHAT" }}'], dest_dir: newest}
          - run: {name: show, tty: false, command: "cat exact/in/file newest/link/file"}
      - name: template
        runtime: {containers: [{image: busybox}]}
        environment: {TZ: "UTC-0", WHAT: "$K"}
        depends: [second] # whose search must not find this one's cache
        steps:
          - run: {name: lock, command: "printf lock >lock.txt"}
          - save_cache:
              key: >-
                {{ env "WHAT" }}-t {{- /* white space goes */ -}} {{ os }}/{{ arch }}-{{ year }}{{ month }}{{ day }}
                {{- "lock.txt" | sha256sum | printf "-%s" -}}
              contents: [{source_dir: .}]
YAML
directrun caches
tap_is "a run saves and restores caches" "$RUN_STATUS" 0
hash=$(echo lock | md5sum | cut -d' ' -f1)
tap_like "nothing to restore is no failure" "$(step_log "$RUN" first 1)" "No cache has a key that begins with \"$K-nothing\""
tap_like "a cache is saved under its rendered key" "$(step_log "$RUN" first 2)" "Saving the cache \"$K-$hash\".*in/file"
tap_like "a key is saved once" "$(step_log "$RUN" first 4)" "There is a cache with this key: nothing is saved"
tap_like "the exact key is preferred to a newer longer one" "$(step_log "$RUN" second 1)" "Restoring the cache \"$K-$hash\""
tap_like "else the newest with the prefix" "$(step_log "$RUN" second 2)" "Restoring the cache \"$K-$hash-longer\""
tap_is "what was saved comes back, and was not overwritten" "$(step_log "$RUN" second 3)" "one
two"
tap_like "templates" "$(step_log "$RUN" template 1)" \
	"Saving the cache \"$K-tlinux/amd64-$(date -u +%Y%m%d)-$(printf lock | sha256sum | cut -d' ' -f1)\""

# The next run sees them; another repository of the same user does not.
sed -i '/^runs:/,$d' "$T/caches/.agola/config.yml"
cat >>"$T/caches/.agola/config.yml" <<YAML
runs:
  - name: caches
    tasks:
      - name: again
        runtime: {containers: [{image: busybox}]}
        steps:
          - restore_cache: {keys: ["$K-$hash"]}
          - run: {name: show, tty: false, command: "cat in/file"}
      - name: twice
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps:
          - restore_cache: {keys: ["$K-$hash"]}
          - restore_cache: {keys: ["$K-$hash"]}
      - name: no file
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps: [restore_cache: {keys: ['{{ md5sum "missing" }}']}]
      - name: no function
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps: [save_cache: {key: '{{ checksum "x" }}', contents: [{source_dir: .}]}]
      - name: too long
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps: [save_cache: {key: "$(printf 'k%.0s' $(seq 200))", contents: [{source_dir: .}]}]
YAML
cp -r "$T/caches" "$T/other"
rm -rf "$T/other/.git"
git -C "$T/other" init -q && git -C "$T/other" add -A && git -C "$T/other" commit -q -m other
directrun caches
tap_is "the next run finds it" "$(step_log "$RUN" again 1)" one
tap_is "files are never overwritten" "$(task_field "$RUN" twice '[.steps[].phase] | join(" ")')" "success failed"
tap_like "a checksum of a missing file fails" "$(step_log "$RUN" "no file" 0)" "byte .*cannot read file missing"
tap_like "an unknown function fails" "$(step_log "$RUN" "no function" 0)" "there is no function checksum"
# shellcheck disable=SC2016 # jq's
tap_is "they fail the step" "$(run_field "$RUN" '[.tasks[] | select(.status == "failed") | .name] | sort | join(" ")')" "no file no function too long twice"
tap_like "a key is bounded" "$(task_field "$RUN" "too long" '.steps[0].error')" "cache key too long.*at most 200"
directrun other
tap_is "another repository sees none of it" "$(task_field "$RUN" again '[.steps[].phase] | join(" ")')" "success failed"

# kill -9 of the executor while a cache is saved and while it is restored; 60 MB that do not compress take their time.
at_end daemon start executor
directrun_start big <<YAML
runs:
  - name: big
    tasks:
      - name: big
        runtime: {containers: [{image: busybox}]}
        steps:
          - run: {name: make, command: "mkdir in; head -c 60000000 /dev/urandom >in/big; echo small >in/small"}
          - save_cache: {key: "$K-big", contents: [{source_dir: in}]}
          - restore_cache: {keys: ["$K-big"], dest_dir: out}
          - run: {name: compare, command: "cmp in/big out/big && cmp in/small out/small"}
YAML
for at in "1 Saving" "2 Restoring"; do
	tap_ok "${at#* } is under way" wait_for 60 log_has "$RUN" big "${at% *}" "${at#* } the cache"
	daemon kill executor
	daemon start executor
done
wait_for 60 run_finished "$RUN" || true
tap_is "caches survive kill -9 of the executor" "$(task_field "$RUN" big '[.steps[].phase] | join(" ")')" "success success success success"

# Stopped in the middle of saving: there is no such cache.
directrun_start stopped <<YAML
runs:
  - name: stopped
    tasks:
      - name: task
        runtime: {containers: [{image: busybox}]}
        steps:
          - run: {name: make, command: "mkdir in; head -c 60000000 /dev/urandom >in/big"}
          - save_cache: {key: "$K-stopped", contents: [{source_dir: in}]}
YAML
tap_ok "a save is under way" wait_for 60 log_has "$RUN" task 1 "Saving the cache"
api PUT "/users/$MILLRACE_USER/runs/$RUN/actions" '{"action_type": "stop"}' >"$T/stop"
wait_for 60 run_finished "$RUN" || true
tap_is "it is stopped" "$(run_field "$RUN" .result)" stopped
tap_is "a stopped save leaves no cache" "$(sql "select count(*) from runservice.caches where key = '$K-stopped'")" 0

# Keys are stored as they are: what a variable holds does not come into one, nor does it leave the executor.
repo secret <<YAML
runs:
  - name: secret
    tasks:
      - name: save
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        environment: {TOKEN: {from_variable: token}}
        steps: [save_cache: {key: '$K-{{ env "TOKEN" }}', contents: [{source_dir: .}]}]
      - name: restore
        ignore_failure: true
        runtime: {containers: [{image: busybox, environment: {TOKEN: {from_variable: token}}}]}
        steps: [restore_cache: {keys: ['$K-none', '{{ env "TOKEN" }}']}]
      - name: beside
        runtime: {containers: [{image: busybox}]}
        environment: {TOKEN: {from_variable: token}}
        steps: [restore_cache: {keys: ["$K-hidden", '{{ env "NONE" }}$K']}]
YAML
directrun secret --var token=hidden
for task in save restore; do
	tap_has "$task: no secret in a key" <(task_field "$RUN" "$task" '.steps[0].error') "the value of TOKEN is a secret"
done
tap_is "a text that happens to be in a key is none" "$RUN_STATUS" 0
tap_is "it is in no table" "$(sql "select count(*) from (select key from runservice.caches union all select key from runservice.cache_uploads) k where key like '$K-hid%'")" 0

leftovers_check "nothing is left behind"
tap_done

#!/usr/bin/env bash
# Every kind of step as a user meets it: shells, environment, directories, users, terminals, exit codes, background
# processes, clone, workspaces.
. "$(dirname "$0")/../lib.sh"
leftovers_before

# --- run steps ---

directrun steps <<'YAML'
runs:
  - name: steps
    tasks:
      - name: all
        runtime:
          type: pod
          arch: amd64
          containers:
            - image: debian:bookworm
              environment: {FROM_CONTAINER: container, LAYER: container}
        environment: {FROM_TASK: task, LAYER: task}
        working_dir: ~/work
        steps:
          - run: echo plain words
          - run: {name: directory, command: pwd}
          - run: {name: environment, environment: {LAYER: step}, command: 'echo "$FROM_CONTAINER $FROM_TASK $LAYER"'}
          - run: {name: own directory, working_dir: /usr/share, command: pwd}
          - run:
              name: several lines
              command: |
                value=kept
                echo "value $value"
          - run: {name: shell, shell: /bin/bash, command: 'echo ${BASH_VERSION:+bash} $0'}
          - run: {name: terminal, command: 'test -t 1 && test -t 2 && echo a terminal'}
          - run: {name: no terminal, tty: false, command: 'test -t 1 || echo no terminal; echo to stderr >&2'}
          - run: {name: input ends, tty: false, command: 'wc -c; echo read'}
          - run: {name: background begins, tty: false, command: 'sleep 300 >/dev/null 2>&1 & echo $! >/tmp/pid; echo left one behind'}
          - run: {name: background lives, command: 'kill -0 "$(cat /tmp/pid)" && echo it lives'}
          - run: {name: agola variables, command: 'env | grep ^AGOLA_ | cut -d= -f1 | sort'}
          - run: {name: not in sight, tty: false, command: 'readlink /proc/1/fd/0 2>/dev/null || echo hidden'}
      - name: user
        runtime: {containers: [{image: debian:bookworm, user: "1:1"}]}
        user: nobody
        working_dir: /tmp/of/nobody
        steps:
          - run: {name: who, tty: false, command: id -u; stat -c %U /tmp/of/nobody}
          - run: {name: the step's own, user: daemon, tty: false, command: id -un}
      - name: user by id
        runtime: {containers: [{image: busybox}]}
        user: "1234:5678"
        working_dir: /tmp
        steps: [{run: {name: who, tty: false, command: id -u; id -g}}]
      - name: user of container
        runtime: {containers: [{image: debian:bookworm, user: nobody}]}
        working_dir: /tmp
        steps: [{run: {name: who, tty: false, command: id -u}}]
YAML
tap_is "the run succeeds" "$RUN_STATUS" 0
# log INDEX: without the carriage returns of a terminal
log() {
	step_log "$RUN" all "$1" | tr -d '\r'
}
tap_is "a run step prints" "$(log 0)" "plain words"
tap_is "the working directory is made and expanded" "$(log 1)" "/root/work"
tap_is "container, task and step environments, the nearest wins" "$(log 2)" "container task step"
tap_is "a step's own working directory" "$(log 3)" "/usr/share"
tap_is "several lines are one script" "$(log 4)" "value kept"
tap_like "a shell of the step's own" "$(log 5)" "^bash "
tap_is "a terminal unless it is turned off" "$(log 6)" "a terminal"
tap_is "without a terminal both streams are logged" "$(log 7)" "no terminal
to stderr"
tap_is "standard input is at its end" "$(log 8)" "0
read"
tap_is "a task's user by name, who owns the working directory" "$(step_log "$RUN" user 0)" "65534
nobody"
tap_is "a user of the step's own" "$(step_log "$RUN" user 1)" daemon
tap_is "a user and group by number" "$(step_log "$RUN" "user by id" 0)" "1234
5678"
tap_is "a container's user" "$(step_log "$RUN" "user of container" 0)" 65534
tap_is "a step ends although it left a process in the background" "$(log 9)" "left one behind"
tap_is "that process lives as long as the task" "$(log 10)" "it lives"
tap_like "the run's variables are in the environment" "$(log 11)" "AGOLA_GIT_COMMITSHA"
tap_is "process 1 cannot be looked into" "$(log 12)" hidden
tap_is "each step has its exit status" "$(task_field "$RUN" all '[.steps[].exit_status] | unique | tostring')" "[0]"

# --- failures ---

directrun failure <<'YAML'
runs:
  - name: failure
    tasks:
      - name: code
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps:
          - run: echo before
          - run: exit 42
          - run: echo never
      - name: signal
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps: [{run: {name: killed, tty: false, command: kill -9 $$}}]
      - name: no directory
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps: [{run: {name: lost, working_dir: /nowhere, command: pwd}}]
      - name: no user
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        user: nobodyknows
        steps: [{run: id}]
      - name: no shell
        ignore_failure: true
        runtime: {containers: [{image: busybox}]}
        steps: [{run: {name: shell, shell: /no/such/shell, command: id}}]
      - name: no image
        ignore_failure: true
        runtime: {containers: [{image: "busybox:no-such-tag"}]}
        steps: [{run: id}]
      - name: fails
        runtime: {containers: [{image: busybox}]}
        steps: [{run: "false"}]
        depends: [{code: [on_failure]}, {signal: [on_failure]}, {"no directory": [on_failure]}, {"no user": [on_failure]},
          {"no shell": [on_failure]}, {"no image": [on_failure]}]
YAML
tap_is "a failed run fails the client" "$RUN_STATUS" 1
tap_is "its result" "$(run_field "$RUN" .result)" failed
steps_of() {
	task_field "$RUN" "$1" '[.steps[] | "\(.phase):\(.exit_status)"] | join(" ")'
}
tap_is "an exit status ends the task, later steps do not start" "$(steps_of code)" "success:0 failed:42 notstarted:null"
tap_is "a signal is 128 and its number" "$(steps_of signal)" "failed:137"
tap_is "a working directory that is not there" "$(steps_of "no directory")" "failed:1"
tap_like "is named in the log" "$(step_log "$RUN" "no directory" 0)" "/nowhere"
tap_is "a user that is not there fails the setup" "$(task_field "$RUN" "no user" .setup_step.phase)" failed
tap_like "and is named in its log" "$(step_log "$RUN" "no user" setup)" "nobodyknows"
tap_is "a shell that is not there" "$(steps_of "no shell")" "failed:127"
tap_like "is named in the log" "$(step_log "$RUN" "no shell" 0)" "/no/such/shell"
tap_is "an image that is not there fails the setup" "$(task_field "$RUN" "no image" .setup_step.phase)" failed
tap_like "and is named in its log" "$(step_log "$RUN" "no image" setup)" "no-such-tag"

# --- clone and workspaces ---

repo workspace <<'YAML'
runs:
  - name: workspace
    tasks:
      - name: clone
        runtime: {containers: [{image: "golang:1.12-stretch"}]}
        steps:
          - clone:
          - run: cat message
          - run: printf '%s\n' "$AGOLA_REPOSITORY_URL" "${AGOLA_REPOSITORY_URL##*/}" "$MILLRACE_REPOSITORY_TOKEN"; git remote -v; echo "${#MILLRACE_REPOSITORY_TOKEN}"
      - name: save
        runtime: {containers: [{image: debian:bookworm, user: nobody}]}
        working_dir: /tmp/w
        steps:
          - run:
             name: make files
             command: |
              mkdir -p out/deep empty
              echo one >out/one; echo two >out/deep/two; echo no >out/skipped.tmp
              ln -s one out/link; chmod 750 out/one
          - save_to_workspace:
              contents:
                - source_dir: out
                  dest_dir: /stuff
                  paths: ["one", "link", "deep/**"]
                - source_dir: .
                  dest_dir: more
                  paths: ["empty"]
      - name: save again
        runtime: {containers: [{image: busybox}]}
        steps:
          - run: mkdir /d && echo three >/d/three
          - save_to_workspace: {contents: [{source_dir: /d, dest_dir: stuff, paths: ["**"]}]}
        depends: [save]
      - name: restore
        runtime: {containers: [{image: busybox}]}
        working_dir: ~/r
        steps:
          - restore_workspace: {dest_dir: .}
          - run: find . | sort; cat stuff/one stuff/deep/two stuff/three stuff/link; stat -c %a stuff/one
        depends: [save again]
      - name: restore over a file
        runtime: {containers: [{image: busybox}]}
        working_dir: /r
        steps:
          - run: mkdir stuff; echo mine >stuff/one
          - restore_workspace: {dest_dir: /r}
        depends: [save again]
        ignore_failure: true
      - name: save what is not there
        runtime: {containers: [{image: busybox}]}
        steps: [{save_to_workspace: {contents: [{source_dir: /nowhere, paths: ["*"]}]}}]
        ignore_failure: true
YAML
echo "from the repository" >"$T/workspace/message"
directrun workspace
tap_is "a run with clone, save and restore succeeds" "$RUN_STATUS" 0
tap_is "clone brings the pushed tree" "$(step_log "$RUN" clone 1 | tr -d '\r')" "from the repository"
token='[0-9a-f]{60}'
tap_is "the clone's token is masked, by itself and in its URL" "$(for i in 0 2; do step_log "$RUN" clone "$i"; done | grep -cE "$token")" 0
tap_is "it was there" "$(step_log "$RUN" clone 2 | tr -d '\r' | tail -n 1)" 216
tap_is "restore brings what was saved by name, with modes and links" "$(step_log "$RUN" restore 1 | tr -d '\r')" ".
./more
./more/empty
./stuff
./stuff/deep
./stuff/deep/two
./stuff/link
./stuff/one
./stuff/three
one
two
three
one
750"
tap_is "a file that exists is not overwritten" "$(task_field "$RUN" "restore over a file" '.steps[1].phase')" failed
tap_like "and is named" "$(step_log "$RUN" "restore over a file" 1)" "stuff/one"
tap_is "a source that is not there fails the step" "$(task_field "$RUN" "save what is not there" '.steps[0].phase')" failed
tap_like "and is named" "$(step_log "$RUN" "save what is not there" 0)" "/nowhere"

# --- a definition in Jsonnet ---

repo jsonnet config.jsonnet <<'JSONNET'
local lib = import '../ci/lib.libsonnet';
function(ctx) { runs: [{ name: ctx.ref_type, tasks: [lib.task(n) for n in ['a', 'b']] }] }
JSONNET
mkdir "$T/jsonnet/ci"
cat >"$T/jsonnet/ci/lib.libsonnet" <<'JSONNET'
{ task(name):: {
  name: name,
  runtime: { containers: [{ image: 'busybox' }] },
  environment: { WHO: name },
  steps: [{ run: { name: 'says', tty: false, command: importstr 'says.sh' } }],
} }
JSONNET
echo "echo \"it is \$WHO\"" >"$T/jsonnet/ci/says.sh"
directrun jsonnet
tap_is "a definition in Jsonnet runs" "$RUN_STATUS:$(run_field "$RUN" .name)" "0:branch"
tap_is "what it imports is of the commit" "$(step_log "$RUN" a 0)$(step_log "$RUN" b 0)" "it is ait is b"
repo endless config.jsonnet <<<'local f(n) = f(n + 1) tailstrict; f(1)'
directrun endless
tap_is "one without an end is a setup error" "$(run_field "$RUN" .phase)" setuperror
tap_like "that says so" "$(run_field "$RUN" '.setup_errors[0]')" '^\.agola/config\.jsonnet:1:1: Jsonnet: .*does it loop\?'

leftovers_check "nothing is left behind"
tap_done

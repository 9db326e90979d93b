#!/usr/bin/env bash
# Containers of a task: services share the network, images without a shell or with volumes of their own, users that are not root,
# tmpfs volumes; no secret and no socket shows in the engine.
. "$(dirname "$0")/../lib.sh"
leftovers_before

# An image with nothing but one static program: no shell, no /tmp, no passwd. And one that declares volumes and a user.
make_images() {
	local dir=$T/image
	mkdir -p "$dir"
	cat >"$dir/probe.c" <<'C'
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
	char line[256];
	FILE *f = argc > 1 ? fopen(argv[1], "r") : NULL;
	while (f && fgets(line, sizeof line, f))
		printf("script: %s", line);
	return f ? 0 : 3;
}
C
	musl-gcc -static -Os -o "$dir/probe" "$dir/probe.c"
	tar -C "$dir" -c probe | docker_cli import - "millrace-test/bare:1"
	printf 'FROM %s\nRUN mkdir /data && echo seeded >/data/seed && chown nobody /data\nVOLUME /data /cache/deep\nUSER nobody\nENV IMAGE_SAYS=hello\n' \
		"$(docker_cli image ls -q millrace/base | head -n 1)" | docker_cli build -q -t "millrace-test/volumes:1" -
}
make_images >"$T/images.log" 2>&1 || { cat "$T/images.log" && exit 1; }
at_end docker_cli rmi -f millrace-test/bare:1 millrace-test/volumes:1

directrun containers --var secretword=xyzzy-plugh-4711 <<'YAML'
runs:
  - name: containers
    tasks:
      - name: bare
        runtime: {containers: [{image: "millrace-test/bare:1"}]}
        shell: /probe
        working_dir: /made
        steps: [{run: hello from nothing}]
      - name: volumes
        runtime:
          containers:
            - image: "millrace-test/volumes:1"
              volumes: [{path: /mnt/ram, tmpfs: {size: 16Mi}}]
        working_dir: /tmp/here
        steps:
          - run: cat /data/seed; id -un; echo "$IMAGE_SAYS"
          - run: echo mine >/data/mine && cat /data/mine
          - run: grep ' /mnt/ram tmpfs' /proc/mounts | grep -c size=16384k
      - name: services
        runtime:
          containers:
            - image: busybox
            - image: busybox
              entrypoint: "nc -ll -p 7001 -e echo first"
            - image: busybox
              environment: {WORD: {from_variable: secretword}}
              entrypoint: "nc -ll -p 7002 -e env"
        steps:
          - run: until nc 127.0.0.1 7001 </dev/null; do :; done
          - run: until nc 127.0.0.1 7002 </dev/null; do :; done
          - run:
              name: the secret
              environment: {WORD: {from_variable: secretword}}
              command: echo "it is $WORD."; printf %s "$WORD" | base64
      - name: entrypoint
        runtime: {containers: [{image: busybox, entrypoint: "nc -ll -p 7003 -e echo main"}]}
        steps: [{run: 'until nc 127.0.0.1 7003 </dev/null; do :; done'}]
YAML
tap_is "the run succeeds" "$RUN_STATUS" 0
log() {
	step_log "$RUN" "$1" "$2" | tr -d '\r'
}
tap_is "an image without a shell runs its own" "$(log bare 0)" "script: hello from nothing"
tap_is "an image's user, volume content and environment" "$(log volumes 0)" "seeded
nobody
hello"
tap_is "its user may write to what the image let it" "$(task_field "$RUN" volumes '.steps[1].phase')" "success"
tap_is "a tmpfs of the asked size" "$(log volumes 2)" 1
tap_is "a service answers on the shared network" "$(log services 0 | tail -n 1)" first
tap_is "a service knows its secret, which is masked where it is printed" "$(log services 1 | grep WORD)" "WORD=***"
tap_is "a secret is masked, as base64 too" "$(log services 2)" "it is ***.
***"
tap_is "an entrypoint lives beside the steps" "$(log entrypoint 0 | tail -n 1)" main
tap_hasnt "the client's output has no secret" "$T/containers.out" xyzzy-plugh

# --- a service that cannot start ---

directrun refused <<'YAML'
runs:
  - name: refused
    tasks: [{name: task, runtime: {containers: [{image: busybox}, {image: busybox, entrypoint: /no/such}]}, steps: [{run: id}]}]
YAML
tap_is "a service that cannot start fails the setup" "$(task_field "$RUN" task '"\(.setup_step.phase) \(.steps[0].phase)"')" \
	"failed notstarted"
tap_like "and is named in its log" "$(log task setup)" "container 1.*/no/such"

# --- privilege that no executor allows ---

directrun_start privileged --follow <<'YAML'
runs:
  - name: privileged
    tasks: [{name: task, runtime: {containers: [{image: busybox, privileged: true}]}, steps: [{run: id}]}]
YAML
says_why() {
	run_field "$RUN" '[.tasks[]][0].wait_reason // ""' | grep -q privileged
}
tap_ok "a privileged task says that it waits for an executor that allows it" wait_for 30 says_why
tap_ok "and so does the client that follows it" wait_for 30 file_has "$T/privileged.err" "privileged"
api PUT "/users/$MILLRACE_USER/runs/$RUN/actions" '{"action_type": "stop"}' >/dev/null
wait_for 30 run_finished "$RUN" || true
tap_like "and can be stopped" "$(run_field "$RUN" '"\(.phase) \(.result)"')" "^(cancelled|finished stopped)"

# --- what the engine shows while a task runs ---

repo inspect <<'YAML'
runs:
  - name: inspect
    tasks:
      - name: task
        runtime:
          containers:
            - {image: "millrace-test/volumes:1", environment: {WORD: {from_variable: secretword}}}
            - {image: "millrace-test/volumes:1", environment: {WORD: {from_variable: secretword}}, entrypoint: sleep 600}
        working_dir: /tmp/here
        steps: [{run: {name: wait, environment: {WORD: {from_variable: secretword}}, command: 'echo up; sleep 600'}}]
YAML
directrun_start inspect --var secretword=xyzzy-plugh-4711
tap_ok "a task runs" wait_for 60 log_has "$RUN" task 0 up
docker_cli ps -aq --no-trunc --filter "label=millrace.task=$(task_id "$RUN" task)" >"$T/ids"
tap_is "it has two containers" "$(wc -l <"$T/ids")" 2
xargs "$(command -v docker)" -H "$ENGINE" inspect <"$T/ids" >"$T/inspect.json"
tap_hasnt "no secret shows in the engine's inspection" "$T/inspect.json" xyzzy-plugh
privilege='[.[] | .HostConfig | select(.Privileged or .CapAdd != null or (.SecurityOpt // [] | length > 0)
	or .PidMode != "" or .NetworkMode == "host" or (.Devices // [] | length > 0) or (.Binds // [] | length > 0))] | length'
tap_is "no privilege of any kind" "$(jq "$privilege" "$T/inspect.json")" 0
tap_is "no mount from the host" "$(jq '[.[].Mounts[] | select(.Type == "bind")] | length' "$T/inspect.json")" 0
tap_is "every volume of theirs has our label" "$(jq -r '.[].Mounts[] | select(.Type == "volume") | .Name' "$T/inspect.json" |
	sort -u | while read -r v; do docker_cli volume inspect -f '{{index .Labels "millrace"}}' "$v"; done | grep -c '<no value>')" 0
api PUT "/users/$MILLRACE_USER/runs/$RUN/actions" '{"action_type": "stop"}' >/dev/null
wait_for 60 run_finished "$RUN" || true
tap_is "stopped" "$(run_field "$RUN" .result)" stopped
leftovers_check "nothing is left behind, volumes of images included"
tap_done

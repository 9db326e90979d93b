#!/usr/bin/env bash
# The main job: both definitions of examples/kaniko, the image in the registry, and the proof that no container had any privilege.
. "$(dirname "$0")/../lib.sh"
leftovers_before

# Every container of this executor is inspected as the engine's event stream announces it, helpers too.
docker_cli events --filter type=container --filter event=create --filter label=millrace \
	--format '{{.ID}} {{index .Actor.Attributes "millrace.executor"}}' >"$T/events" &
watcher=$!
at_end kill "$watcher"
(
	tail -F -n +1 --pid="$watcher" "$T/events" 2>/dev/null | while read -r id executor; do
		[ "$executor" != "$MILLRACE_EXECUTOR" ] || docker_cli inspect "$id" >>"$T/inspected" 2>/dev/null || echo "$id" >>"$T/missed"
	done
) &

image=example/kaniko:test-$$
mkdir "$T/kaniko"
cp -r "$ROOT/examples/kaniko/." "$T/kaniko/"
git -C "$T/kaniko" init -q
git -C "$T/kaniko" add -A
git -C "$T/kaniko" commit -q -m example
tap_ok "both definitions are valid" "$BIN/millrace" config check "$T/kaniko/.agola/config.yml"

auth=$(printf %s "$MILLRACE_REGISTRY_USER:$MILLRACE_REGISTRY_PASSWORD" | base64 -w0)
variables=(--var dockerregistry="$MILLRACE_REGISTRY" --var dockerimage="$MILLRACE_REGISTRY/$image")
export RUN_SECONDS=240
directrun kaniko "${variables[@]}" --var dockerauth="$auth"
tap_is "both runs succeed" "$RUN_STATUS" 0
mapfile -t runs < <(sed -n 's/^run \([0-9][0-9]*\) created$/\1/p' "$T/kaniko.err")
tap_is "there are two" "${#runs[@]}" 2
push=${runs[1]:-0}
tap_is "their names" "$(for n in "${runs[@]}"; do run_field "$n" .name; done | paste -sd,)" "build image,build and push image"
for index in 0 1 2; do
	step_log "$push" "build docker image" "$index" || true
done >"$T/push.log"
tap_hasnt "the credentials are not in the log" "$T/push.log" "$auth"
tap_hasnt "nor is the password" "$T/push.log" "$MILLRACE_REGISTRY_PASSWORD"

manifest() {
	curl -sS -o "$T/manifest" -w '%{http_code}' "$@" -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
		"http://$MILLRACE_REGISTRY_LOCAL/v2/${image%:*}/manifests/${image#*:}"
}
tap_is "the registry wants a password" "$(manifest)" 401
tap_is "the image is there" "$(manifest -u "$MILLRACE_REGISTRY_USER:$MILLRACE_REGISTRY_PASSWORD")" 200
pull_and_run() {
	export DOCKER_CONFIG=$T/docker
	printf %s "$MILLRACE_REGISTRY_PASSWORD" |
		docker_cli login -u "$MILLRACE_REGISTRY_USER" --password-stdin "$MILLRACE_REGISTRY_LOCAL" >/dev/null 2>&1
	docker_cli pull -q "$MILLRACE_REGISTRY_LOCAL/$image" >/dev/null
	docker_cli run --rm --network none "$MILLRACE_REGISTRY_LOCAL/$image" tester
}
at_end docker_cli rmi -f "$MILLRACE_REGISTRY_LOCAL/$image"
tap_like "it runs and prints what the program prints" "$(pull_and_run 2>&1)" "^Hello tester,"

# --- the wrong password ---

directrun kaniko "${variables[@]}" --var dockerauth="$(printf wrong:word | base64 -w0)"
tap_is "with a wrong password the run fails" "$RUN_STATUS" 1
mapfile -t runs < <(sed -n 's/^run \([0-9][0-9]*\) created$/\1/p' "$T/kaniko.err")
tap_like "and its log says why" "$(step_log "${runs[1]:-0}" "build docker image" 2)" "(401|[Uu]nauthorized|denied)"

# --- life after the whole root file system was replaced ---

repo replaced <<'YAML'
runs:
  - name: replaced
    tasks:
      - name: build
        runtime: {containers: [{image: "gcr.io/kaniko-project/executor:debug"}]}
        shell: /busybox/sh
        working_dir: /workspace
        steps:
          - run:
             name: write files
             command: |
              printf 'FROM debian:bookworm\nRUN echo from the image >/made\n' >Dockerfile
              echo kept >result
          - run: /kaniko/executor --no-push
          - run: echo a further step; cat /made
          - save_to_workspace: {contents: [{source_dir: /workspace, paths: ["result"]}]}
          - run: exit 7
        ignore_failure: true
      - name: after
        runtime: {containers: [{image: busybox}]}
        steps: [{restore_workspace: {dest_dir: /r}}, {run: cat /r/result}]
        depends: [{build: [on_failure]}]
YAML
directrun replaced
tap_is "the run succeeds" "$RUN_STATUS" 0
tap_is "the root file system is that of the image that was built" "$(step_log "$RUN" build 2 | tr -d '\r')" "a further step
from the image"
tap_is "a workspace was saved after that" "$(step_log "$RUN" after 1 | tr -d '\r')" kept
tap_is "and an exit code came out" "$(task_field "$RUN" build '.steps[4].exit_status')" 7

# --- the watch ---

created() {
	[ "$(jq -s 'add | length' "$T/inspected" 2>/dev/null || echo 0)" -ge 9 ]
}
tap_ok "the engine's events named every container" wait_for 20 created
tap_not "each could be inspected" test -s "$T/missed"
privilege='[add[] | .HostConfig | select(.Privileged or .CapAdd != null or (.SecurityOpt // [] | length > 0) or .PidMode != ""
	or .IpcMode == "host" or .UsernsMode != "" or .NetworkMode == "host" or (.Devices // [] | length > 0)
	or (.Binds // [] | length > 0) or (.DeviceRequests // [] | length > 0))] | length'
tap_is "none had privilege, capabilities, devices or the host's namespaces" "$(jq -s "$privilege" "$T/inspected")" 0
tap_is "none saw a file of the host, the engine's socket least of all" \
	"$(jq -s '[add[].Mounts[] | select(.Type == "bind")] | length' "$T/inspected")" 0
tap_hasnt "none shows the credentials" "$T/inspected" "$auth"
leftovers_check "nothing is left behind"
tap_done

#!/usr/bin/env bash
# Bad input at every door: a clear error, nothing lost, everything goes on.
. "$(dirname "$0")/../lib.sh"
leftovers_before

# --- definitions ---

directrun broken <<'YAML'
runs:
  - name: broken
    tasks:
      - name: one
        runtime: {containers: [{image: busybox}]}
        depends: [two]
        steps:
          - rum: echo
YAML
tap_is "a broken definition fails the client" "$RUN_STATUS" 1
tap_is "it makes a visible run" "$(run_field "${RUN:-0}" .phase)" setuperror
tap_like "with each error by line and column" "$(run_field "${RUN:-0}" '.setup_errors | join("|")')" ":[0-9]+:[0-9]+: .*:[0-9]+:[0-9]+: "

repo unparsable <<<'runs: [ { name: "'
directrun unparsable
tap_is "so does one that is no YAML" "$(run_field "${RUN:-0}" .phase)" setuperror
directrun warned <<'YAML'
runs:
  - name: warned
    colour: red
    tasks: [{name: one, runtime: {containers: [{image: busybox}]}, steps: [{run: "true"}]}]
YAML
tap_is "a word that nobody knows is accepted" "$RUN_STATUS" 0
tap_like "and warned of" "$(run_field "$RUN" '.warnings | join("|")')" "colour"
printf 'runs:\n  - name: x\n    tasks: []\n   bad: indent\n' >"$T/bad.yml"
check=$("$BIN/millrace" config check "$T/bad.yml" 2>&1) && status=0 || status=$?
tap_is "config check fails" "$status" 1
tap_like "and says where" "$check" "bad\.yml:[0-9]+:[0-9]+: "
mkdir "$T/nothing"
git -C "$T/nothing" init -q
echo text >"$T/nothing/file"
directrun nothing
tap_like "a repository without a definition makes a run that says so" "$(run_field "${RUN:-0}" '"\(.phase): \(.setup_errors[0])"')" \
	"^setuperror: .*\.agola"

# --- the REST API ---

tap_is "no token" "$(API_TOKEN='' api_status GET "/users/$MILLRACE_USER/runs")" 401
tap_is "a wrong token" "$(API_TOKEN=0123456789abcdef api_status GET /user)" 401
tap_is "an unknown route" "$(api_status GET /no/such/route)" 404
tap_is "an unknown run" "$(api_status GET "/users/$MILLRACE_USER/runs/999999999")" 404
tap_is "a run number that is none" "$(api_status GET "/users/$MILLRACE_USER/runs/12x")" 400
tap_is "an action that is none" "$(api_status PUT "/users/$MILLRACE_USER/runs/$RUN/actions" '{"action_type": "explode"}')" 400
tap_is "a body that is no JSON" "$(api_status PUT "/users/$MILLRACE_USER/runs/$RUN/actions" '{"action_type": ')" 400
tap_is "a body of the wrong shape" "$(api_status PUT "/users/$MILLRACE_USER/runs/$RUN/actions" '[[[1]]]')" 400
tap_is "an ordinary user may not make users" "$(api_status POST /users '{"username": "mallory"}')" 403
head -c 40000000 /dev/zero | tr '\0' ' ' >"$T/large"
tap_like "a body that is too large" "$(curl -sS -m 30 -o /dev/null -w '%{http_code}' -X POST \
	-H "Authorization: token $MILLRACE_ADMIN_TOKEN" --data-binary "@$T/large" "$MILLRACE_URL/api/v1alpha/users" 2>/dev/null || true)" \
	"^(413|417)$"
for name in '../../etc/passwd' '..%2f..%2fetc' '%00' "a'; drop table users; --"; do
	tap_like "a path of $name" "$(curl -sS -m 10 -o /dev/null -w '%{http_code}' --path-as-is \
		-H "Authorization: token $MILLRACE_TOKEN" "$MILLRACE_URL/api/v1alpha/users/${name// /%20}/runs")" "^4"
done
tap_ok "the gateway goes on" api GET "/users/$MILLRACE_USER/runs"

# --- raw bytes at the ports ---

# throw PORT: what comes on standard input, and whatever is answered is read until the peer closes or has had its time.
throw() {
	timeout 2 bash -c "exec 3<>/dev/tcp/127.0.0.1/$1; cat >&3 || true; timeout 1 cat <&3" 2>/dev/null | head -c 300 || true
}
for port in "$MILLRACE_PORT" $((MILLRACE_PORT + 4)) $((MILLRACE_PORT + 5)) $((MILLRACE_PORT + 6)); do
	head -c 100000 /dev/urandom | throw "$port" >/dev/null
	printf 'GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n' | throw "$port" >/dev/null
	# An SP greeting of NNG's with a message that claims 2^63 bytes.
	printf '\0SP\0\0\060\0\0\177\377\377\377\377\377\377\377' | throw "$port" >/dev/null
	# A well-formed message with nothing of ours in it.
	printf '\0SP\0\0\060\0\0\0\0\0\0\0\0\0\020\200\0\0\001garbagegarbage' | throw "$port" >/dev/null
done
for part in gateway runservice executor; do
	tap_ok "$part is ready after garbage at every port" wait_for 10 daemon_ready "$part"
done

# --- signed addresses of the object store ---

objects=http://127.0.0.1:$((MILLRACE_PORT + 4))
for path in /objects/../../../etc/passwd /objects/x '/objects/x?expires=9999999999&signature=00' /; do
	tap_like "the object store refuses $path" "$(curl -sS -m 10 --path-as-is -o /dev/null -w '%{http_code}' "$objects$path")" "^4"
done

# --- hostile archives cannot be made by steps of ours, but hostile trees can ---

directrun hostile <<'YAML'
runs:
  - name: hostile
    tasks:
      - name: save
        runtime: {containers: [{image: busybox}]}
        working_dir: /w
        steps:
          - run: ln -s /etc link; ln -s ../../../../etc/shadow up; mkdir -p d; mkfifo d/pipe; printf x >"$(printf 'new\nline')"
          - save_to_workspace: {contents: [{source_dir: /w, paths: ["**"]}]}
      - name: same name
        runtime: {containers: [{image: busybox}]}
        steps:
          - run: mkdir -p /w/link && echo evil >/w/link/planted
          - save_to_workspace: {contents: [{source_dir: /w, paths: ["**"]}]}
        depends: [save]
      - name: restore
        runtime: {containers: [{image: busybox}]}
        working_dir: /r
        steps: [{restore_workspace: {dest_dir: .}}]
        depends: [same name]
        ignore_failure: true
      - name: look
        runtime: {containers: [{image: busybox}]}
        steps: [{run: 'test ! -e /etc/planted && echo safe'}]
        depends: [{restore: [on_failure]}]
YAML
tap_is "a file below a link of an earlier archive is not written through it" \
	"$(run_field "$RUN" '.tasks[] | select(.name == "restore") | .status')" failed
tap_like "and the log says what" "$(step_log "$RUN" restore 0)" "link"

directrun after <<'YAML'
runs:
  - name: after
    tasks: [{name: one, runtime: {containers: [{image: busybox}]}, steps: [{run: echo still here}]}]
YAML
tap_is "afterwards a run still works" "$RUN_STATUS" 0
leftovers_check "nothing is left behind"
tap_done
